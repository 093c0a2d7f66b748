"""Bad input, each with the right error; odd but good input, accepted."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import ClientError
from PIL import Image

from tests.acceptance.product import (
    PROJECT,
    detect,
    host,
    images,
    put_product,
    start_training,
)
from tests.acceptance.served import (
    BUCKET,
    ServedDirectory,
    dataset_status,
    line,
    model_status,
    wait_for,
)

pytestmark = pytest.mark.acceptance


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    """Return the code and the message of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def png_bomb(side: int) -> bytes:
    """Return a small PNG file whose header promises side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1_000_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def hosted(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDirectory]:
    """A server that hosts a model of the drawn product."""
    folder = tmp_path_factory.mktemp("bad") / "data"
    served = ServedDirectory(folder, environment={}, content=trained)
    served.start()
    try:
        host(served.client())
        yield served
    finally:
        served.end()


def a_image() -> Image.Image:
    return Image.open(io.BytesIO(images()[0][1])).convert("RGB")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"GIF89a, or so it says", "JPEG"),
        (encoded(Image.effect_noise((384, 288), 50), "JPEG")[:5_000], "truncated"),
        (png_bomb(30_000), "30,000 x 30,000"),
        (encoded(Image.new("RGB", (100, 100))), "100 x 100"),
        (encoded(Image.new("RGB", (10, 10))), "10 x 10"),
        (bytes(33 * 1024 * 1024), "33554432"),
    ],
    ids=["empty", "no image", "truncated", "bomb", "another size", "too small", "too long"],
)
def test_a_body_that_cannot_be_judged_is_refused(
    hosted: ServedDirectory, body: bytes, words: str
) -> None:
    code, message = refused(lambda: detect(hosted.client(), body))

    assert code == "ValidationException"
    assert words in message


def test_a_wrong_content_type_names_the_right_ones(hosted: ServedDirectory) -> None:
    code, message = refused(
        lambda: hosted.client().detect_anomalies(
            ProjectName=PROJECT,
            ModelVersion="1",
            ContentType="application/octet-stream",
            Body=images()[0][1],
        )
    )

    assert code == "ValidationException"
    assert "image/jpeg" in message
    assert "image/png" in message


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "I;16", "1"])
def test_png_files_of_any_kind_are_judged(hosted: ServedDirectory, mode: str) -> None:
    if mode == "I;16":
        grey = np.asarray(a_image().convert("L")).astype(np.uint16) * 257
        image = Image.fromarray(grey)
    else:
        image = a_image().convert(mode)

    result = detect(hosted.client(), encoded(image))

    assert 0 <= result["Confidence"] <= 1


def test_cmyk_and_turned_jpeg_files_are_judged(hosted: ServedDirectory) -> None:
    client = hosted.client()
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = a_image().transpose(Image.Transpose.ROTATE_90)

    upright = detect(client, encoded(a_image()))
    cmyk = detect(client, encoded(a_image().convert("CMYK"), "JPEG", quality=95))
    by_exif = detect(client, encoded(turned, exif=exif))

    assert 0 <= cmyk["Confidence"] <= 1
    assert by_exif == upright


@pytest.mark.parametrize(
    ("members", "code", "words"),
    [
        ({"ProjectName": ".."}, "ValidationException", "projectName"),
        ({"ProjectName": "nowhere"}, "ResourceNotFoundException", "nowhere"),
        ({"ModelVersion": "0"}, "ValidationException", "modelVersion"),
        ({"ModelVersion": "7"}, "ResourceNotFoundException", "7"),
    ],
)
def test_names_that_name_nothing_are_refused(
    hosted: ServedDirectory, members: dict[str, str], code: str, words: str
) -> None:
    named = {"ProjectName": PROJECT, "ModelVersion": "1"} | members

    found, message = refused(lambda: hosted.client().describe_model(**named))

    assert found == code
    assert words in message


def failed_import(served: ServedDirectory, lines: list[Any]) -> str:
    """Make a dataset of lines that cannot be imported; return the status message."""
    client = served.client()
    text = "".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in lines)
    served.put("bad.manifest", text.encode())
    name = f"bad-{served.next_number()}"
    client.create_project(ProjectName=name)
    source = {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET, "Key": "bad.manifest"}}}
    client.create_dataset(ProjectName=name, DatasetType="train", DatasetSource=source)
    status = dataset_status(client, name, "train")
    wait_for(status, {"CREATE_FAILED"}, while_in={"CREATE_IN_PROGRESS"})
    answer = client.describe_dataset(ProjectName=name, DatasetType="train")
    return str(answer["DatasetDescription"]["StatusMessage"])


def test_a_manifest_says_all_that_is_wrong_with_it(hosted: ServedDirectory) -> None:
    good = line(hosted.put("plates/0.jpg", images()[0][1]), "normal")
    no_class = json.loads(json.dumps(good))
    del no_class["anomaly-label-metadata"]["class-name"]

    message = failed_import(
        hosted,
        [
            good,
            "{broken",
            no_class,
            {"anomaly-label": 1},
            line(f"s3://{BUCKET}/plates/missing.jpg", "normal"),
        ],
    )
    elsewhere = failed_import(hosted, [good, line("s3://elsewhere/1.jpg", "normal")])
    missing = failed_import(hosted, [good, line(f"s3://{BUCKET}/missing.jpg", "normal")])

    assert "line 2" in message
    assert "JSON" in message
    assert "line 3" in message
    assert "class-name" in message
    assert "line 4" in message
    assert "source-ref" in message
    assert "line 2: s3://elsewhere/1.jpg" in elsewhere
    assert f"line 2: s3://{BUCKET}/missing.jpg does not exist" in missing


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no image", "plates/0.jpg"),
        ("other size", "100 x 100"),
        ("mask of another size", "10 x 10"),
        ("unknown colour", "#0000FF"),
    ],
)
def test_images_that_cannot_be_trained_on_fail_the_training(
    served: ServedDirectory, kind: str, words: str
) -> None:
    client = served.client()
    put_product(served)
    lines = [
        line(f"s3://{BUCKET}/plates/{row}.jpg", label) for row, (label, _) in enumerate(images())
    ]
    if kind == "no image":
        served.put("plates/0.jpg", b"not an image")
    elif kind == "other size":
        served.put("plates/1.jpg", encoded(Image.new("RGB", (100, 100)), "JPEG"))
    else:
        size = (10, 10) if kind == "mask of another size" else a_image().size
        mask = encoded(Image.new("RGB", size, "#0000FF"))
        masked = {
            "anomaly-mask-ref": served.put("mask.png", mask),
            "anomaly-mask-ref-metadata": {
                "internal-color-map": {"0": {"class-name": "dent", "hex-color": "#23A436"}},
                "type": "groundtruth/semantic-segmentation",
                "human-annotated": "yes",
            },
        }
        for each, (label, _) in zip(lines, images(), strict=True):
            each.update(masked if label == "anomaly" else {})
    client.create_project(ProjectName=PROJECT)
    source = served.put_manifest("plates.manifest", lines)
    client.create_dataset(ProjectName=PROJECT, DatasetType="train", DatasetSource=source)
    status = dataset_status(client, PROJECT, "train")
    wait_for(status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})

    version = start_training(client)

    wait_for(model_status(client, PROJECT, version), {"TRAINING_FAILED"}, while_in={"TRAINING"})
    model = client.describe_model(ProjectName=PROJECT, ModelVersion=version)["ModelDescription"]
    assert words in model["StatusMessage"]
    assert list((served.folder / "bundles").iterdir()) == []
    written = [path.name for path in (served.bucket / "out").rglob("*") if path.is_file()]
    assert written == ["EvaluationProblems-plates-1.json"]


def test_mixed_sizes_are_a_setting(serve: Callable[..., ServedDirectory]) -> None:
    served = serve(BLEMISH_MIXED_SIZES="true")
    client = served.client()
    put_product(served)
    half = a_image().resize((200, 150))
    served.put("plates/1.jpg", encoded(half, "JPEG"))
    lines = [
        line(f"s3://{BUCKET}/plates/{row}.jpg", label) for row, (label, _) in enumerate(images())
    ]
    client.create_project(ProjectName=PROJECT)
    client.create_dataset(
        ProjectName=PROJECT,
        DatasetType="train",
        DatasetSource=served.put_manifest("plates.manifest", lines),
    )
    status = dataset_status(client, PROJECT, "train")
    wait_for(status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})

    host(client, start_training(client))

    assert 0 <= detect(client, encoded(half, "JPEG"))["Confidence"] <= 1


def test_what_comes_later_is_refused_and_never_ignored(hosted: ServedDirectory) -> None:
    client = hosted.client()
    output = {"S3Location": {"Bucket": BUCKET}}

    with_key = refused(
        lambda: client.create_model(ProjectName=PROJECT, OutputConfig=output, KmsKeyId="alias/a")
    )

    assert with_key[0] == "ValidationException"
    assert "KmsKeyId" in with_key[1]
