"""From another service to a running plant: buckets, datasets and the results of old models."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from blemish.cli.main import app
from tests.acceptance.product import ANOMALY, NORMAL, PROJECT, images
from tests.acceptance.served import BUCKET, ServedDirectory, aws_files
from tests.acceptance.test_readme import fenced, run

pytestmark = pytest.mark.acceptance


GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "moving.md").read_text()


def blemish(*arguments: str | Path) -> str:
    """Run a command; return what it prints."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def plant(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDirectory]:
    """A server with a trained model, for all tests of this module."""
    folder = tmp_path_factory.mktemp("plant") / "data"
    served = ServedDirectory(folder, environment={}, content=trained)
    served.start()
    yield served
    served.end(signal.SIGKILL)


@pytest.fixture
def yolo_folder(tmp_path: Path) -> Path:
    """Images of the drawn product, their anomalies outlined for YOLO."""
    folder = tmp_path / "yolo"
    for kind in ("images", "labels"):
        (folder / kind / "train").mkdir(parents=True)
    (folder / "data.yaml").write_text("names:\n  0: hole\ntrain: images/train\n")
    for number, (label, data) in enumerate(images()):
        (folder / "images" / "train" / f"{number:03}.jpg").write_bytes(data)
        if label == "anomaly":
            text = "0 0.25 0.25 0.5 0.25 0.5 0.5 0.25 0.5\n"
            (folder / "labels" / "train" / f"{number:03}.txt").write_text(text)
    return folder


def test_labelled_images_come_in_and_go_out_again(
    plant: ServedDirectory, yolo_folder: Path, tmp_path: Path
) -> None:
    text = blemish("datasets", "import", yolo_folder, "sheets", "--data-dir", plant.folder)
    blemish(
        *("datasets", "export", "sheets", "--to", tmp_path / "out.zip"),
        *("--data-dir", plant.folder),
    )
    again = blemish(
        *("datasets", "import", tmp_path / "out.zip", "again", "--bucket", "other"),
        *("--prefix", "a/b", "--format", "coco", "--data-dir", plant.folder),
    )

    counts = f"train: {ANOMALY} anomaly, {NORMAL} normal, {ANOMALY} with a mask."
    assert "Format: YOLO polygons (yolo)" in text
    assert counts in text
    assert counts in again
    line = (plant.folder / "buckets/other/a/b/train.manifest").read_text().splitlines()[-1]
    mask = json.loads(line)["anomaly-mask-ref"].removeprefix("s3://other/")
    with Image.open(plant.folder / "buckets/other" / mask) as image:
        width, height = image.size
        box = image.convert("RGB").point(lambda value: 255 - value).getbbox()
    assert box == (width // 4, height // 4, width // 2, height // 2)
    client = plant.client()
    described = client.describe_dataset(ProjectName="again", DatasetType="train")
    assert described["DatasetDescription"]["ImageStats"]["Anomaly"] == ANOMALY


def test_a_bucket_moves_between_servers_and_goes_on_where_it_stopped(
    plant: ServedDirectory, served: ServedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = plant, served
    large = io.BytesIO(bytes(9 * 1024 * 1024))  # more than is held in memory
    refs = [source.put(f"parts/{row}.jpg", data) for row, (_, data) in enumerate(images())]
    source.put("parts/large.bin", large.getvalue())
    source.put_manifest("parts/train.manifest", [{"source-ref": ref} for ref in refs])
    source.put("elsewhere/a.txt", b"not below the prefix")
    for name, value in aws_files(source).items():
        monkeypatch.setenv(name, str(value))
    command = (
        *("sync", f"s3://{BUCKET}/parts/", "--to-bucket", "plant"),
        *("--from-endpoint-url", source.endpoint, "--data-dir", target.folder),
    )

    first = blemish(*command)
    (target.folder / "buckets/plant/parts/3.jpg").unlink()
    source.put("parts/4.jpg", b"a newer one")
    second = blemish(*command)

    count = len(refs) + 2
    assert f"{count} objects copied" in first
    assert "1 manifests name the new bucket now." in first
    assert f"2 objects copied ({len(images()[3][1]) + 11:,} bytes), {count - 2} were" in second
    copied = target.folder / "buckets/plant"
    assert sorted(path.name for path in copied.iterdir()) == ["parts"]
    lines = (copied / "parts/train.manifest").read_text().splitlines()
    assert json.loads(lines[0])["source-ref"] == "s3://plant/parts/0.jpg"
    assert (copied / "parts/4.jpg").read_bytes() == b"a newer one"
    assert (copied / "parts/3.jpg").read_bytes() == images()[3][1]
    assert (copied / "parts/large.bin").read_bytes() == large.getvalue()


def test_an_old_evaluation_is_compared_with_a_model_here(
    plant: ServedDirectory, tmp_path: Path
) -> None:
    out = plant.bucket / "out"
    result = json.loads((out / f"EvaluationResult-{PROJECT}-1.json").read_text())
    result["AggregatedEvaluationResults"]["Metrics"]["Recall"] = 0.25
    (tmp_path / "EvaluationResult-old-1.json").write_text(json.dumps(result))
    lines = (out / f"EvaluationManifest-{PROJECT}-1.json").read_text().splitlines()
    changed = json.loads(lines[0].replace(f"s3://{BUCKET}/", "s3://amazon/"))
    detected = changed["anomaly-label-detected-metadata"]
    detected["class-name"] = {"normal": "anomaly", "anomaly": "normal"}[detected["class-name"]]
    text = "\n".join([json.dumps(changed), *lines[1:]])
    (tmp_path / "EvaluationManifest-old-1.json").write_text(text)

    printed = blemish(
        *("compare-evaluation", tmp_path / "EvaluationResult-old-1.json", PROJECT, "latest"),
        *("--data-dir", plant.folder),
    )

    rows = [line.split() for line in printed.splitlines()]
    assert next(row for row in rows if row[:1] == ["Recall"])[1] == "0.250"
    assert f"Both models were tested on the same {len(lines)} images." in printed
    key = changed["source-ref"].removeprefix("s3://amazon/")
    assert [row[0] for row in rows if row[:1] == [key]] == [key]


def old_account(source: ServedDirectory, bucket: str) -> None:
    """Give a server a bucket as an AWS account has it after years of use."""
    others = shutil.ignore_patterns("parts", "elsewhere")  # of another test
    shutil.copytree(source.bucket, source.folder / "buckets" / bucket, ignore=others)
    for name in ("plates.manifest", "out/EvaluationManifest-plates-1.json"):
        manifest = source.folder / "buckets" / bucket / name
        manifest.write_text(manifest.read_text().replace(f"s3://{BUCKET}/", f"s3://{bucket}/"))


@pytest.mark.slow
def test_the_guide_leads_from_an_account_to_a_model_that_is_compared(
    plant: ServedDirectory,
    served: ServedDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old_account(plant, "factory")
    (tmp_path / "data").symlink_to(served.folder)
    monkeypatch.chdir(tmp_path)
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    folder = plant.folder / "aws"
    for copy, name in ((config, "config"), (credentials, "credentials")):
        text = (folder / name).read_text()
        copy.write_text(
            text.replace("[profile blemish]", "[profile aws]").replace("[blemish]", "[aws]")
        )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    commands = [block for block in fenced(GUIDE, "sh") if not block.startswith("export")]
    _, sync, keys, compare = (shlex.split(block)[1:] for block in commands)

    copied = blemish(*sync)
    created = blemish(*keys)
    monkeypatch.setenv("HOME", str(tmp_path))
    trained = run("\n".join(fenced(GUIDE, "python")), tmp_path, GUIDE).splitlines()
    compared = blemish(*compare)

    assert "2 manifests name the new bucket now." in copied
    assert "[line-4]" in created
    assert trained[0].startswith("train CREATE_COMPLETE")
    assert trained[1].startswith("test CREATE_COMPLETE")
    assert trained[2].startswith("TRAINED")
    assert "Both models were tested on the same" in compared
