"""How long a server takes to start, train, host and detect, beside the same done without one.

    python -m benchmarks.detection [--backbone FILE.onnx] [--rounds 5] [--results FILE.json]

DetectAnomalies goes over HTTP, signed; beside it the same graph in bare ONNX Runtime judges the
same images, one round after the other in one run, as a line sends them: the ratio holds where the
machine's speed drifts. Then the same again while the server trains. A start stands beside an
interpreter that imports the server's libraries and no more, hosting beside the load of the graph.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime as ort
from PIL import Image

from benchmarks.surroundings import SHARED
from blemish.server.stores import bundles_of
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from tests.acceptance.served import (
    BUCKET,
    ServedDirectory,
    dataset_status,
    model_status,
    wait_for,
)
from tests.acceptance.test_journey import PROJECT, put_cookies

BUSY = {"TRAINING", "STARTING_HOSTING"}
LIBRARIES = "alembic.command, botocore.session, numpy, onnxruntime, sqlalchemy.orm, uvicorn"
STARTS = 3


class Bare:
    """A bundle's graph, run with Pillow and ONNX Runtime alone."""

    def __init__(self, model: bytes) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = os.cpu_count() or 1
        options.log_severity_level = 3
        # Left to spin, its threads would take the cores from the server in the turns between.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(model, options)
        _, height, width, _ = self._session.get_inputs()[0].shape
        self._size = (width, height)
        self._input = self._session.get_inputs()[0].name

    def detect(self, path: Path) -> None:
        """Decode, resize and run."""
        with Image.open(path) as image:
            pixels = image.convert("RGB").resize(self._size, Image.Resampling.BILINEAR)
        self._session.run(None, {self._input: np.asarray(pixels)[np.newaxis]})


def prepare(
    served: ServedDirectory, client: Any, cookies: Path
) -> tuple[list[Path], dict[str, float]]:
    """Train and host a model on the server; return the images to judge, and the seconds."""
    client.create_project(ProjectName=PROJECT)
    for kind, source in put_cookies(served, cookies).items():
        client.create_dataset(ProjectName=PROJECT, DatasetType=kind, DatasetSource=source)
        wait_for(
            dataset_status(client, PROJECT, kind),
            {"CREATE_COMPLETE"},
            while_in={"CREATE_IN_PROGRESS"},
        )
    status = model_status(client, PROJECT, "1")

    def train_one() -> None:
        train(client)
        wait_for(status, {"TRAINED"}, while_in=BUSY)

    def host() -> None:
        client.start_model(ProjectName=PROJECT, ModelVersion="1", MinInferenceUnits=1)
        while status() != "HOSTED":
            time.sleep(0.01)

    images = sorted((cookies / "test").rglob("*.jpg"))
    return images, {
        "train_s": milliseconds(train_one) / 1000,
        "host_s": milliseconds(host) / 1000,
    }


def starts(served: ServedDirectory) -> dict[str, float]:
    """Return the median seconds until a server listens, and of the imports it cannot do without."""
    imports = [sys.executable, "-c", f"import {LIBRARIES}"]
    started, imported = [], []
    for _ in range(STARTS):
        served.end()
        started.append(milliseconds(served.start) / 1000)
        imported.append(milliseconds(partial(subprocess.run, imports, check=True)) / 1000)
    return {
        "start_s": statistics.median(started),
        "start_over_imports": statistics.median(
            one / other for one, other in zip(started, imported, strict=True)
        ),
    }


def train(client: Any) -> None:
    """Have one more model trained."""
    output = {"S3Location": {"Bucket": BUCKET, "Prefix": "out/"}}
    client.create_model(ProjectName=PROJECT, OutputConfig=output)


def milliseconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - began)


def alternate(
    client: Any, bare: Bare, images: list[Path], *, rounds: int
) -> list[tuple[float, float]]:
    """Return the median milliseconds of each round over HTTP, and of the bare round after it."""

    def over_http(path: Path) -> None:
        client.detect_anomalies(
            ProjectName=PROJECT,
            ModelVersion="1",
            ContentType="image/jpeg",
            Body=path.read_bytes(),
        )

    def median(judge: Callable[[Path], None]) -> float:
        judge(images[0])
        return statistics.median(milliseconds(partial(judge, path)) for path in images)

    return [(median(over_http), median(bare.detect)) for _ in range(rounds)]


def measure(backbone: Path, *, rounds: int) -> dict[str, float]:
    """Return seconds, medians in milliseconds, and the ratios that count."""
    with TemporaryDirectory() as folder:
        served = ServedDirectory(
            Path(folder, "data"), environment={"BLEMISH_BACKBONE": str(backbone)}
        )
        served.start()
        try:
            first = starts(served)
            client = served.client()
            images, took = prepare(served, client, SHARED / "data" / "cookies")
            first |= took
            directory = DataDirectory(served.folder)
            (name,) = (bundle.name for bundle in directory.bundles.iterdir())
            bundles = bundles_of(Settings(data_dir=directory.root), directory)
            graph = bundles.read(name).model
            first["host_over_load"] = 1000 * first["host_s"] / milliseconds(partial(Bare, graph))
            bare = Bare(graph)
            quiet = alternate(client, bare, images, rounds=rounds)
            train(client)
            time.sleep(3)  # until its process is at work
            busy = alternate(client, bare, images, rounds=1)
            during = client.describe_model(ProjectName=PROJECT, ModelVersion="2")
        finally:
            served.end()
    http, alone = (statistics.median(column) for column in zip(*quiet, strict=True))
    http_busy, _ = (statistics.median(column) for column in zip(*busy, strict=True))
    return first | {
        "http_ms": http,
        "bare_ms": alone,
        "http_over_bare": statistics.median(a / b for a, b in quiet),
        "http_while_training_ms": http_busy,
        "training_over_quiet": http_busy / http,
        "still_training_at_the_end": float(during["ModelDescription"]["Status"] == "TRAINING"),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--backbone", type=Path, default=SHARED / "weights" / "resnet18-layer1-3.onnx"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/detection.json"))
    arguments = parser.parse_args()
    measured = measure(arguments.backbone, rounds=arguments.rounds)
    for name, value in measured.items():
        print(f"{name:28} {value:8.2f}")
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
