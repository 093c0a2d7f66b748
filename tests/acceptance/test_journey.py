"""The main job on real images: two datasets, a model with masks, hosted, detecting."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.acceptance.served import (
    BUCKET,
    ServedDirectory,
    dataset_status,
    line,
    model_status,
    wait_for,
)

pytestmark = pytest.mark.acceptance
PROJECT = "cookies"
MISTAKES = 2


def put_cookies(
    served: ServedDirectory, cookies: Path, *, every: int = 1
) -> dict[str, dict[str, Any]]:
    """Put every n-th training image and all test images; return the sources of the datasets."""
    template = (cookies / "manifests" / "template.manifest").read_text()
    train = [json.loads(text) for text in template.splitlines()[::every]]
    for entry in train:
        for name in ("source-ref", "anomaly-mask-ref"):
            if name in entry:
                entry[name] = served.put(entry[name], (cookies / entry[name]).read_bytes())
    test = [
        line(served.put(f"test/{label}/{path.name}", path.read_bytes()), label)
        for label in ("normal", "anomaly")
        for path in sorted((cookies / "test" / label).iterdir())
    ]
    return {
        "train": served.put_manifest("manifests/train.manifest", train),
        "test": served.put_manifest("manifests/test.manifest", test),
    }


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_cookies_from_images_to_verdicts(
    serve: Callable[..., ServedDirectory], shared: Path, every: int
) -> None:
    backbone = shared / "weights" / "resnet18-layer1-3.onnx"
    served = serve(BLEMISH_BACKBONE=str(backbone), BLEMISH_RESOLUTION="256")
    client = served.client()
    sources = put_cookies(served, shared / "data" / "cookies", every=every)

    client.create_project(ProjectName=PROJECT)
    for kind, source in sources.items():
        client.create_dataset(ProjectName=PROJECT, DatasetType=kind, DatasetSource=source)
        status = dataset_status(client, PROJECT, kind)
        wait_for(status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})
    created = client.create_model(
        ProjectName=PROJECT,
        OutputConfig={"S3Location": {"Bucket": BUCKET, "Prefix": "out/"}},
    )["ModelMetadata"]
    status = model_status(client, PROJECT, created["ModelVersion"])
    wait_for(status, {"TRAINED"}, while_in={"TRAINING"})
    client.start_model(ProjectName=PROJECT, ModelVersion="1", MinInferenceUnits=1)
    wait_for(status, {"HOSTED"}, while_in={"STARTING_HOSTING"})

    mistakes = 0
    for label in ("normal", "anomaly"):
        for path in sorted((shared / "data" / "cookies" / "test" / label).iterdir()):
            result = client.detect_anomalies(
                ProjectName=PROJECT,
                ModelVersion="latest",
                ContentType="image/jpeg",
                Body=path.read_bytes(),
            )["DetectAnomalyResult"]
            mistakes += result["IsAnomalous"] != (label == "anomaly")
            check_answer(result, path)
    assert mistakes <= MISTAKES
    check_evaluation(served, client, trained_on=-(-63 // every))


def check_answer(result: dict[str, Any], path: Path) -> None:
    """The answer of a segmentation model has all that clients of the original read."""
    assert result["Source"] == {"Type": "direct"}
    assert 0 <= result["Confidence"] <= 1
    background, *types = result["Anomalies"]
    assert background["Name"] == "background"
    assert background["PixelAnomaly"]["Color"] == "#FFFFFF"
    assert [(area["Name"], area["PixelAnomaly"]["Color"]) for area in types] in (
        [],
        [("cracked", "#23A436")],
    )
    areas = [area["PixelAnomaly"]["TotalPercentageArea"] for area in result["Anomalies"]]
    assert sum(areas) == pytest.approx(1, abs=1e-6)
    with Image.open(io.BytesIO(result["AnomalyMask"])) as mask, Image.open(path) as image:
        assert (mask.mode, mask.format, mask.size) == ("RGB", "PNG", image.size)
        green = (np.asarray(mask) == (0x23, 0xA4, 0x36)).all(axis=2)
    assert green.mean() == pytest.approx(areas[1] if types else 0, abs=1e-6)


def check_evaluation(served: ServedDirectory, client: Any, *, trained_on: int) -> None:
    """DescribeModel names the two files, and they say what it says."""
    model = client.describe_model(ProjectName=PROJECT, ModelVersion="1")["ModelDescription"]
    assert model["EvaluationManifest"]["Key"] == "out/EvaluationManifest-cookies-1.json"
    assert model["EvaluationResult"]["Key"] == "out/EvaluationResult-cookies-1.json"
    result = json.loads((served.bucket / model["EvaluationResult"]["Key"]).read_text())
    metrics = result["AggregatedEvaluationResults"]["Metrics"]
    assert result["EvaluationDetails"]["NumberOfTrainingImages"] == trained_on
    assert result["EvaluationDetails"]["NumberOfTestingImages"] == 22
    assert metrics["F1Score"] == pytest.approx(model["Performance"]["F1Score"])
    lines = (served.bucket / model["EvaluationManifest"]["Key"]).read_text().splitlines()
    assert len(lines) == 22
    first = json.loads(lines[0])
    assert first["anomaly-label-detected-metadata"]["model-arn"] == model["ModelArn"]
    mask = served.bucket / first["anomaly-mask-ref-detected"].removeprefix(f"s3://{BUCKET}/")
    assert mask.read_bytes().startswith(b"\x89PNG")
