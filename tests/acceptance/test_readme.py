"""The programs of README and of the guide, run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.acceptance.product import ANOMALY, NORMAL, host, images
from tests.acceptance.served import ServedDirectory, dataset_status, wait_for
from tests.asgi_client import installed_models

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs" / "guide" / "getting-started.md").read_text()
MODELS = (ROOT / "docs" / "guide" / "models.md").read_text()
CLI = "runpy.run_module('blemish.cli.main', run_name='__main__')"
ADDITIONS = (ROOT / "docs" / "guide" / "additions.md").read_text()


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def place(served: ServedDirectory, tmp_path: Path) -> Path:
    """A folder as the pages have it: served data, images in a bucket, one image to judge."""
    (tmp_path / "data").symlink_to(served.folder)
    bucket = served.folder / "buckets" / "factory"
    for number, (label, image) in enumerate(images()):
        (bucket / label).mkdir(parents=True, exist_ok=True)
        (bucket / label / f"{number:03}.jpg").write_bytes(image)
    (tmp_path / "plate.jpg").write_bytes(images()[-1][1])
    return tmp_path


@pytest.fixture
def workplace(served: ServedDirectory, tmp_path: Path) -> Path:
    """A folder as the README has it: served data, labelled images, one image to judge."""
    (tmp_path / "data").symlink_to(served.folder)
    for number, (label, image) in enumerate(images()):
        (tmp_path / "images" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / label / f"{number:03}.jpg").write_bytes(image)
    (tmp_path / "plate.jpg").write_bytes(images()[-1][1])
    return tmp_path


def exported(text: str, place: Path) -> dict[str, str]:
    """Return the variables that a page exports in the folder of its reader."""
    (lines,) = (block for block in fenced(text, "sh") if block.startswith("export"))
    found = re.findall(r"^export (\w+)=(.*)$", lines, flags=re.MULTILINE)
    return {name: value.replace("$PWD", str(place)) for name, value in found}


def run(program: str, place: Path, text: str, **more: str) -> str:
    """Run a program in the environment that its page describes; return what it prints."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=place,
        env=clean | exported(text, place) | more,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_guide_leads_from_images_to_a_verdict(place: Path) -> None:
    manifest, *steps = fenced(GUIDE, "python")

    run(manifest, place, GUIDE)
    told = run("\n".join(steps), place, GUIDE).splitlines()

    images = f"'Total': {NORMAL + ANOMALY}, 'Labeled': {NORMAL + ANOMALY}, 'Normal': {NORMAL}"
    assert images in told[0]
    assert any(line.startswith("TRAINED Training completed successfully.") for line in told)
    assert told[-2] == "The model is running."
    (tags,) = fenced(MODELS, "python")
    client_of_tags = 'import boto3\nclient = boto3.client("lookoutvision")\n'
    model = 'model = {"ProjectName": "plates", "ModelVersion": "1"}\n'
    run(client_of_tags + model + tags, place, GUIDE)
    assert re.fullmatch(r"(anomaly|normal) [01]\.\d+", told[-1])


def test_the_lines_of_the_readme_import_images_and_end_with_a_verdict(workplace: Path) -> None:
    (program,) = fenced(README, "python")
    (importing,) = re.findall(r"^blemish (datasets import .*?)\s+#", README, flags=re.MULTILINE)

    run(f"import runpy, sys; sys.argv[1:] = {importing.split()}; {CLI}", workplace, README)
    told = run(program, workplace, README)

    assert "is being trained" in told  # while it waits
    assert "'IsAnomalous'" in told
    assert "'Confidence'" in told


def test_the_programs_of_the_additions_do_what_the_page_says(
    served: ServedDirectory, place: Path
) -> None:
    client = served.client()
    manifest, *_ = fenced(GUIDE, "python")
    run(manifest, place, GUIDE)
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": "factory", "Key": "plates.manifest"}}}
    client.create_project(ProjectName="plates")
    client.create_dataset(ProjectName="plates", DatasetType="train", DatasetSource=source)
    imported = dataset_status(client, "plates", "train")
    wait_for(imported, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})
    for _ in range(2):
        client.create_model(
            ProjectName="plates", OutputConfig={"S3Location": {"Bucket": "factory"}}
        )
    settings, regions, cancel, remove, *others = fenced(ADDITIONS, "python")
    with_models = {"AWS_DATA_PATH": installed_models()}

    told = run(cancel, place, GUIDE, **with_models)
    host(client, "1", project="plates")
    told += run(remove, place, GUIDE, **with_models)
    for program in others:
        told += run(program, place, GUIDE, **with_models)

    lines = told.splitlines()
    assert lines[0].startswith("TRAINING_FAILED Cancelled by ")
    assert lines[1] == f"UPDATE_COMPLETE {NORMAL + ANOMALY - 1}"
    score, threshold = map(float, lines[2].split())
    assert score > 0
    assert threshold > 0
    assert re.fullmatch(r"\d+\.\d{3}: 0 missed, \d+ false alarms", lines[3])
    in_force = [line for line in lines if line.startswith("in force: ")]
    assert [float(line.removeprefix("in force: ")) for line in in_force] != [threshold]
    assert "HOSTED 2" in lines
    assert f"SUCCEEDED {ANOMALY} of {ANOMALY} images were judged." in lines
    assert lines[-1] == "UPDATE_COMPLETE"
    with Image.open(place / "heat.png") as heat, Image.open(place / "plate.jpg") as plate:
        assert heat.size == plate.size
    run(settings, place, GUIDE, **with_models)
    run(regions, place, GUIDE, **with_models)
    last = run(settings, place, GUIDE, **with_models).splitlines()[-1]
    assert "'Sensitivity': 'strict'" in last
    assert "'Regions': {'Ignored': 's3://factory/regions.png'}" in last


def test_the_shell_lines_name_what_the_server_made(
    serve: Callable[..., ServedDirectory], tmp_path: Path
) -> None:
    served = serve()
    (tmp_path / "data").symlink_to(served.folder)

    for text in (README, GUIDE):
        variables = exported(text, tmp_path)

        assert Path(variables.pop("AWS_CONFIG_FILE")).is_file()
        assert Path(variables.pop("AWS_SHARED_CREDENTIALS_FILE")).is_file()
        assert variables == {"AWS_PROFILE": "blemish"}
