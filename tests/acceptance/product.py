"""A small drawn product for tests that need a model rather than a good one."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from blemish.demo.sample_product import COLORS, draw_product, jpeg
from tests.acceptance.served import (
    BUCKET,
    ServedDirectory,
    dataset_status,
    line,
    model_status,
    wait_for,
)

PROJECT = "plates"
NORMAL, ANOMALY = 15, 3
"""Two of the anomalies are trained on, too few for heads: they are three quarters of a training."""

STEPS = (
    "reading images",
    "computing features",
    "cross-validation",
    "fitting to all images",
    "writing the bundle",
    "evaluation",
)
"""The steps of a training, as status messages name them."""


@cache
def images() -> tuple[tuple[str, bytes], ...]:
    """Return labels and JPEG files, the normal ones first."""
    generators = np.random.default_rng(11).spawn(NORMAL + ANOMALY)
    kinds = [None] * NORMAL + [tuple(COLORS)[row % len(COLORS)] for row in range(ANOMALY)]
    return tuple(
        ("anomaly" if kind else "normal", jpeg(draw_product(generator, anomaly_type=kind)[0]))
        for generator, kind in zip(generators, kinds, strict=True)
    )


def put_product(served: ServedDirectory) -> dict[str, Any]:
    """Put the images and a manifest into the bucket; return it as a DatasetSource."""
    lines = [
        line(served.put(f"plates/{row}.jpg", data), label)
        for row, (label, data) in enumerate(images())
    ]
    return served.put_manifest("plates.manifest", lines)


def make_dataset(served: ServedDirectory, client: Any, project: str = PROJECT) -> None:
    """Make a project with a training dataset."""
    source = put_product(served)
    client.create_project(ProjectName=project)
    client.create_dataset(ProjectName=project, DatasetType="train", DatasetSource=source)
    status = dataset_status(client, project, "train")
    wait_for(status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})


def start_training(client: Any, project: str = PROJECT) -> str:
    """Have a model trained; return its version."""
    output = {"S3Location": {"Bucket": BUCKET, "Prefix": "out/"}}
    made = client.create_model(ProjectName=project, OutputConfig=output)
    return str(made["ModelMetadata"]["ModelVersion"])


def wait_for_step(client: Any, version: str, step: str, project: str = PROJECT) -> None:
    """Wait until a training works at a step, or at a later one, or has ended."""
    later = STEPS[STEPS.index(step) :]

    def describe() -> str:
        answer = client.describe_model(ProjectName=project, ModelVersion=version)
        model = answer["ModelDescription"]
        if model["Status"] == "TRAINING" and not any(
            name in model["StatusMessage"] for name in later
        ):
            return "EARLIER"
        return step

    wait_for(describe, {step}, while_in={"EARLIER"})


def host(client: Any, version: str = "1", project: str = PROJECT) -> None:
    """Wait for a model to be trained, and start it."""
    status = model_status(client, project, version)
    wait_for(status, {"TRAINED"}, while_in={"TRAINING"})
    client.start_model(ProjectName=project, ModelVersion=version, MinInferenceUnits=1)
    wait_for(status, {"HOSTED"}, while_in={"STARTING_HOSTING"})


def train_into(folder: Path, **environment: str) -> None:
    """Make a data directory with a trained model."""
    served = ServedDirectory(folder, environment=environment)
    served.start()
    try:
        client = served.client()
        make_dataset(served, client)
        status = model_status(client, PROJECT, start_training(client))
        wait_for(status, {"TRAINED"}, while_in={"TRAINING"})
    finally:
        served.end()


def detect(client: Any, body: bytes, *, version: str = "latest", project: str = PROJECT) -> Any:
    """Have a JPEG judged."""
    answer = client.detect_anomalies(
        ProjectName=project, ModelVersion=version, ContentType="image/jpeg", Body=body
    )
    return answer["DetectAnomalyResult"]
