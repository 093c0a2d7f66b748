"""One request and one answer of every operation, recorded from a server that runs."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.response import StreamingBody
from PIL import Image, ImageDraw

from blemish.demo.data import BUCKET, write_sample_data
from tests.acceptance.served import ServedDirectory
from tests.asgi_client import installed_models

PROJECT = {"ProjectName": "plates"}
MODEL = PROJECT | {"ModelVersion": "1"}
TRAIN = PROJECT | {"DatasetType": "train"}
PATIENCE_S = 600.0
POLL_S = 0.2

Example = dict[str, Any]
"""`request` and `answer`, as JSON."""


class Recorder:
    """Calls operations, and stores request and answer of the first call of each."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.examples: dict[str, Example] = {}

    def call(self, operation: str, **members: Any) -> dict[str, Any]:
        """Call an operation; return its answer."""
        answer: dict[str, Any] = self.call_unrecorded(operation, **members)
        example = {"request": _as_json(members), "answer": _as_json(answer)}
        self.examples.setdefault(operation, example)
        return answer

    def call_unrecorded(self, operation: str, **members: Any) -> Any:
        """Call an operation whose answer is no example."""
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        answer = getattr(self._client, method)(**members)
        answer.pop("ResponseMetadata")
        return answer

    def wait(self, operation: str, status: str, **members: Any) -> None:
        """Wait for a status of the description that an operation answers with.

        Raises:
            TimeoutError: the status did not come.
        """
        deadline = time.monotonic() + PATIENCE_S
        while True:
            (description,) = self.call_unrecorded(operation, **members).values()
            if description["Status"] == status:
                return
            if description["Status"].endswith("FAILED") or time.monotonic() > deadline:
                raise TimeoutError(f"{operation} waits for {status}: {description}")
            time.sleep(POLL_S)


def record_examples() -> dict[str, Any]:
    """Return `operations`, the example of each, and `metrics`, in Prometheus's text format."""
    with TemporaryDirectory() as name:
        server = ServedDirectory(Path(name) / "data", environment={})
        server.start()
        try:
            write_sample_data(server.folder / "buckets" / BUCKET, advance=lambda *_: None)
            recorder = Recorder(server.client(models=installed_models()))
            bucket = server.folder / "buckets" / BUCKET
            for step in (_datasets, _trainings, _hosting, _packaging, _jobs):
                step(recorder, bucket)
            with urllib.request.urlopen(f"{server.endpoint}/metrics") as answer:  # noqa: S310
                metrics = answer.read().decode()
            _removals(recorder)
        finally:
            server.end()
    return {"operations": dict(sorted(recorder.examples.items())), "metrics": _heads(metrics)}


def _datasets(recorder: Recorder, bucket: Path) -> None:
    recorder.call("CreateProject", **PROJECT)
    _write_regions(bucket / "regions.png", bucket / "images/train")
    settings = {"Sensitivity": "strict", "Regions": {"Ignored": f"s3://{BUCKET}/regions.png"}}
    recorder.call("UpdateDetectorSettings", **PROJECT, DetectorSettings=settings)
    for kind in ("train", "test"):
        manifest = {"Bucket": BUCKET, "Key": f"manifests/{kind}.manifest"}
        source = {"GroundTruthManifest": {"S3Object": manifest}}
        dataset = PROJECT | {"DatasetType": kind}
        recorder.call("CreateDataset", **dataset, DatasetSource=source)
        recorder.wait("DescribeDataset", "CREATE_COMPLETE", **dataset)
    recorder.call("DescribeDataset", **TRAIN)
    recorder.call("DescribeProject", **PROJECT)
    recorder.call("ListProjects", MaxResults=10)
    recorder.call("ListDatasetEntries", **TRAIN, Labeled=True, MaxResults=2)
    recorder.call("ValidateDataset", **TRAIN, MaxResults=50)
    first = (bucket / "manifests/train.manifest").read_text().splitlines()[0]
    recorder.call("UpdateDatasetEntries", **TRAIN, Changes=first.encode())
    recorder.wait("DescribeDataset", "UPDATE_COMPLETE", **TRAIN)
    recorder.call("DeleteDatasetEntries", **TRAIN, SourceRefs=[json.loads(first)["source-ref"]])
    recorder.wait("DescribeDataset", "UPDATE_COMPLETE", **TRAIN)


def _write_regions(path: Path, images: Path) -> None:
    with Image.open(next(images.glob("*.jpg"))) as image:
        mask = Image.new("RGB", image.size, "white")
    ImageDraw.Draw(mask).rectangle((0, 0, 15, 15), fill="black")
    mask.save(path)


def _trainings(recorder: Recorder, _: Path) -> None:
    output = {"S3Location": {"Bucket": BUCKET, "Prefix": "evaluation/"}}
    tags = [{"Key": "line", "Value": "4"}]
    recorder.call("CreateModel", **PROJECT, Description="first-try", OutputConfig=output, Tags=tags)
    recorder.call_unrecorded("CreateModel", **PROJECT, OutputConfig=output)
    second = PROJECT | {"ModelVersion": "2"}
    recorder.call("CancelModelTraining", **second)
    recorder.call("DeleteModel", **second)
    recorder.wait("DescribeModel", "TRAINED", **MODEL)
    model = recorder.call("DescribeModel", **MODEL)["ModelDescription"]
    recorder.call("ListModels", **PROJECT)
    arn = {"ResourceArn": model["ModelArn"]}
    recorder.call("TagResource", **arn, Tags=[{"Key": "stage", "Value": "production"}])
    recorder.call("ListTagsForResource", **arn)
    recorder.call("UntagResource", **arn, TagKeys=["stage"])


def _hosting(recorder: Recorder, bucket: Path) -> None:
    recorder.call("StartModel", **MODEL, MinInferenceUnits=1)
    recorder.wait("DescribeModel", "HOSTED", **MODEL)
    recorder.call("UpdateInferenceUnits", **MODEL, MinInferenceUnits=1, MaxInferenceUnits=2)
    recorder.wait("DescribeModel", "HOSTED", **MODEL)
    image = _images(bucket)[-1].read_bytes()
    detect = MODEL | {"ContentType": "image/jpeg", "Body": image, "HeatMap": True}
    recorder.call("DetectAnomalies", **detect)
    described = recorder.call("DescribeModelThreshold", **MODEL)
    recorder.call("UpdateModelThreshold", **MODEL, Threshold=round(described["Threshold"], 3))
    recorder.wait("DescribeModel", "HOSTED", **MODEL)
    regions = {"Ignored": f"s3://{BUCKET}/regions.png"}
    recorder.call("UpdateModelRegions", **MODEL, Regions=regions)
    recorder.wait("DescribeModel", "HOSTED", **MODEL)


def _packaging(recorder: Recorder, _: Path) -> None:
    device = {
        "ComponentName": "plates",
        "ComponentVersion": "1.0.0",
        "S3OutputLocation": {"Bucket": BUCKET, "Prefix": "components/"},
        "TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"},
    }
    job = PROJECT | {"JobName": "for-line-4"}
    recorder.call(
        "StartModelPackagingJob",
        **MODEL,
        JobName="for-line-4",
        Configuration={"Greengrass": device},
    )
    recorder.wait("DescribeModelPackagingJob", "SUCCEEDED", **job)
    recorder.call("DescribeModelPackagingJob", **job)
    recorder.call("ListModelPackagingJobs", **PROJECT)


def _jobs(recorder: Recorder, bucket: Path) -> None:
    urls = [f"s3://{BUCKET}/{path.relative_to(bucket)}" for path in _images(bucket)]
    output = {"S3Location": {"Bucket": BUCKET, "Prefix": "batches/"}}
    source = {"Images": urls[-2:]}
    batch = PROJECT | {"BatchName": "night-shift"}
    recorder.call("StartBatchDetection", **(MODEL | batch), ImageSource=source, OutputConfig=output)
    recorder.wait("DescribeBatchDetection", "SUCCEEDED", **batch)
    recorder.call("DescribeBatchDetection", **batch)
    recorder.call("ListBatchDetections", **PROJECT)
    other = PROJECT | {"BatchName": "too-early"}
    everything = {"Images": urls * 20}
    recorder.call_unrecorded(
        "StartBatchDetection", **(MODEL | other), ImageSource=everything, OutputConfig=output
    )
    recorder.call("CancelBatchDetection", **other)
    trial = PROJECT | {"TrialName": "monday"}
    for path in _images(bucket)[-2:]:
        new = bucket / "monday" / path.name
        new.parent.mkdir(exist_ok=True)
        new.write_bytes(path.read_bytes())
    source = {"Images": [f"s3://{BUCKET}/monday/{path.name}" for path in _images(bucket)[-2:]]}
    recorder.call("StartTrialDetection", **(MODEL | trial), ImageSource=source)
    recorder.wait("DescribeTrialDetection", "SUCCEEDED", **trial)
    recorder.call("DescribeTrialDetection", **trial)
    recorder.call("ListTrialDetections", **PROJECT)
    label = {"source-ref": source["Images"][0], "anomaly-label": 1}
    label["anomaly-label-metadata"] = {
        "class-name": "anomaly",
        "type": "groundtruth/image-classification",
        "human-annotated": "yes",
    }
    recorder.call("VerifyTrialImages", **trial, Entries=json.dumps(label).encode())
    recorder.call("ListTrialImages", **trial)
    recorder.call("AddTrialImagesToDataset", **trial, DatasetType="train")
    recorder.wait("DescribeDataset", "UPDATE_COMPLETE", **TRAIN)


def _removals(recorder: Recorder) -> None:
    recorder.call("StopModel", **MODEL)
    recorder.wait("DescribeModel", "TRAINED", **MODEL)
    recorder.call("DeleteDataset", **PROJECT, DatasetType="test")
    old = {"ProjectName": "plates-before-2026"}
    recorder.call_unrecorded("CreateProject", **old)
    recorder.call("DeleteProject", **old)


def _images(bucket: Path) -> list[Path]:
    return sorted((bucket / "images/test").glob("*.jpg"))


def _as_json(value: Any) -> Any:
    """Return a value of boto3 as JSON, without what another run changes for no reason."""
    match value:
        case dict():
            return {name: _as_json(member) for name, member in value.items()}
        case list() | tuple():
            return [_as_json(member) for member in value]
        case datetime():
            return "2026-03-02T08:15:00Z"
        case StreamingBody():
            return _blob(value.read())
        case bytes():
            return _blob(value)
        case float():
            return round(value, 4)
        case _:
            return value


_KINDS: tuple[tuple[bytes, str], ...] = ((b"\xff\xd8", "a JPEG file"), (b"\x89PNG", "a PNG file"))


def _blob(data: bytes) -> str:
    for start, kind in _KINDS:
        if data.startswith(start):
            return f"({kind})"
    return data.decode()


def _heads(metrics: str) -> list[dict[str, Any]]:
    """Return name, kind, text and labels of each metric of Blemish's own."""
    heads = []
    for name, text in re.findall(r"^# HELP (blemish_\S+) (.*)$", metrics, flags=re.MULTILINE):
        kind = re.search(rf"^# TYPE {name} (\w+)$", metrics, flags=re.MULTILINE)
        lines = re.findall(
            rf"^{name}(?:_bucket|_sum|_count)?{{(.*?)}} ", metrics, flags=re.MULTILINE
        )
        labels = {label for line in lines for label in re.findall(r'(\w+)="', line)} - {"le"}
        heads.append(
            {"name": name, "kind": kind[1] if kind else "", "text": text, "labels": sorted(labels)}
        )
    return heads
