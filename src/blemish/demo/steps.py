"""What a user does, from datasets to detections, by boto3."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.progress import Progress

from blemish.demo.data import BUCKET, Manifests
from blemish.demo.page import DemoResult
from blemish.domain.entities import EvaluationMethod, Label
from blemish.domain.manifest import object_ref
from blemish.domain.splitting import split_rows
from blemish.engine.images.headers import media_type
from blemish.storage.data_directory import DataDirectory

PROJECT = "demo"
POLL_S = 0.2


class StepFailedError(Exception):
    """A dataset, a training or a start of a model failed; the message is the server's."""


class UserSteps:
    """The steps of a user, each with a bar of progress."""

    def __init__(self, client: Any, progress: Progress) -> None:
        self._client = client
        self._progress = progress

    def create_project(self) -> dict[str, Any]:
        """Create the project; return its metadata."""
        metadata: dict[str, Any] = self._client.create_project(ProjectName=PROJECT)[
            "ProjectMetadata"
        ]
        return metadata

    def create_datasets(self, manifests: Manifests) -> None:
        """Create a dataset from each manifest.

        Raises:
            StepFailedError: one failed.
        """
        task = self._progress.add_task("making the datasets", total=len(manifests))
        for kind, key in manifests.items():
            source = {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET, "Key": key}}}
            self._client.create_dataset(ProjectName=PROJECT, DatasetType=kind, DatasetSource=source)
        for kind in manifests:
            while (dataset := self._dataset(kind))["Status"] != "CREATE_COMPLETE":
                if dataset["Status"] == "CREATE_FAILED":
                    raise StepFailedError(dataset["StatusMessage"])
                time.sleep(POLL_S)
            self._progress.advance(task)

    def train(self) -> dict[str, Any]:
        """Train a model; return its description.

        Raises:
            StepFailedError: the training failed.
        """
        task = self._progress.add_task("training", total=100)
        output = {"S3Location": {"Bucket": BUCKET, "Prefix": "evaluation/"}}
        created = self._client.create_model(ProjectName=PROJECT, OutputConfig=output)
        version = created["ModelMetadata"]["ModelVersion"]
        while (model := self._model(version))["Status"] != "TRAINED":
            if model["Status"] == "TRAINING_FAILED":
                raise StepFailedError(model["StatusMessage"])
            step = re.search(r": (.*), (\d+)%", model["StatusMessage"])
            if step:
                description = f"training: {step[1]}"
                self._progress.update(task, description=description, completed=int(step[2]))
            time.sleep(POLL_S)
        self._progress.update(task, description="training", completed=100)
        return model

    def start(self, version: str) -> None:
        """Start a model and wait until it is hosted.

        Raises:
            StepFailedError: it could not be hosted.
        """
        task = self._progress.add_task("starting the model", total=1)
        self._client.start_model(ProjectName=PROJECT, ModelVersion=version, MinInferenceUnits=1)
        while (model := self._model(version))["Status"] != "HOSTED":
            if model["Status"] == "HOSTING_FAILED":
                raise StepFailedError(model["StatusMessage"])
            time.sleep(POLL_S)
        self._progress.advance(task)

    def detect(self, directory: DataDirectory, model: Mapping[str, Any]) -> list[DemoResult]:
        """Have the hosted model detect anomalies in the images that it was not trained on."""
        bucket = directory.buckets / BUCKET
        manifest = bucket / model["EvaluationManifest"]["Key"]
        lines = [json.loads(line) for line in manifest.read_text().splitlines()]
        paths = [_path(line, directory) for line in lines]
        rows: Sequence[int] = range(len(lines))
        evaluation = json.loads((bucket / model["EvaluationResult"]["Key"]).read_text())
        method = evaluation["EvaluationDetails"]["EvaluationMethod"]
        if method == EvaluationMethod.CROSS_VALIDATION:
            labels = [Label(line["anomaly-label-metadata"]["class-name"]) for line in lines]
            hashes = [sha256(path.read_bytes()).hexdigest() for path in paths]
            rows = split_rows(labels, hashes)
        results = []
        for row in self._progress.track(rows, description="detecting"):
            line, path = lines[row], paths[row]
            body = path.read_bytes()
            answer = self._client.detect_anomalies(
                ProjectName=PROJECT,
                ModelVersion=model["ModelVersion"],
                ContentType=media_type(body) or "image/jpeg",
                Body=body,
            )
            truth = Label(line["anomaly-label-metadata"]["class-name"])
            results.append(DemoResult(path=path, truth=truth, answer=answer["DetectAnomalyResult"]))
        return results

    def _dataset(self, kind: str) -> dict[str, Any]:
        answer = self._client.describe_dataset(ProjectName=PROJECT, DatasetType=kind)
        description: dict[str, Any] = answer["DatasetDescription"]
        return description

    def _model(self, version: str) -> dict[str, Any]:
        answer = self._client.describe_model(ProjectName=PROJECT, ModelVersion=version)
        description: dict[str, Any] = answer["ModelDescription"]
        return description


def _path(line: Mapping[str, Any], directory: DataDirectory) -> Path:
    """Return the file of the image of a line."""
    ref = object_ref(line["source-ref"])
    assert ref is not None
    return directory.buckets / ref.bucket / ref.key
