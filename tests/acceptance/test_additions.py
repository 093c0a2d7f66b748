"""What the original did not have, by a real client that knows it and a real server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.acceptance.product import (
    PROJECT,
    detect,
    host,
    images,
    make_dataset,
    start_training,
    wait_for_step,
)
from tests.acceptance.served import BUCKET, ServedDirectory, model_status, wait_for
from tests.acceptance.test_killed import training_process, training_processes
from tests.asgi_client import installed_models

pytestmark = pytest.mark.acceptance

PROMPTLY_S = 5
"""A heartbeat of a training is a second; a busy machine may take some more."""


def wait_until(done: Callable[[], bool], *, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def left_behind(served: ServedDirectory) -> list[str]:
    """Return what lies where only a training at work, or one that has ended well, has files."""
    folders = [served.folder / name for name in ("attempts", "staging", "bundles")]
    folders += list(served.bucket.glob("out"))
    return [str(path) for folder in folders for path in folder.iterdir()]


def described(client: Any, version: str) -> tuple[str, str]:
    model = client.describe_model(ProjectName=PROJECT, ModelVersion=version)["ModelDescription"]
    return model["Status"], model["StatusMessage"]


@pytest.mark.parametrize("step", [None, "computing features"])
def test_a_training_that_is_cancelled_ends_promptly_and_leaves_nothing(
    serve: Callable[..., ServedDirectory], step: str | None
) -> None:
    served = serve(BLEMISH_CONCURRENT_TRAININGS="1")
    client = served.client(models=installed_models())
    make_dataset(served, client)
    running, waiting = start_training(client), start_training(client)
    training_process(served)
    if step:
        wait_for_step(client, running, step)

    for version in (waiting, running):
        client.cancel_model_training(ProjectName=PROJECT, ModelVersion=version)

    for version in (waiting, running):
        status, message = described(client, version)
        assert status == "TRAINING_FAILED"
        assert message.startswith("Cancelled by ")
    wait_until(lambda: training_processes(served) == [], patience_s=PROMPTLY_S)
    wait_until(lambda: left_behind(served) == [], patience_s=PROMPTLY_S)
    client.delete_model(ProjectName=PROJECT, ModelVersion=running)
    wait_until(
        lambda: len(client.list_models(ProjectName=PROJECT)["Models"]) == 1, patience_s=PROMPTLY_S
    )
    assert model_status(client, PROJECT, start_training(client))() == "TRAINING"


class Stream:
    """Clients that have one image judged again and again, until the end of the context."""

    def __init__(self, served: ServedDirectory, *, clients: int) -> None:
        self._served = served
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        self._over = threading.Event()
        self.answers: list[Any] = []
        self.errors: list[Exception] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self) -> None:
        """Wait until there is a further answer."""
        before = len(self.answers)
        wait_until(lambda: len(self.answers) > before, patience_s=30)

    def _ask(self) -> None:
        client = self._served.client()
        _, image = images()[0]
        while not self._over.is_set():
            try:
                self.answers.append(detect(client, image))
            except (BotoCoreError, ClientError) as error:
                self.errors.append(error)


def test_a_hosted_model_is_moved_to_another_threshold_and_units_without_losing_a_detection(
    served_model: ServedDirectory,
) -> None:
    served = served_model
    client = served.client(models=installed_models())
    host(client)
    status = model_status(client, PROJECT, "1")
    model = {"ProjectName": PROJECT, "ModelVersion": "1"}
    trained = client.describe_model_threshold(**model)["Threshold"]
    performance = client.describe_model(**model)["ModelDescription"]["Performance"]

    with Stream(served, clients=3) as stream:
        for threshold in (0.0, 1e6, None):
            moved = client.update_model_threshold(
                **model, **({} if threshold is None else {"Threshold": threshold})
            )
            assert (moved["Status"], moved["TrainedThreshold"]) == ("SYSTEM_UPDATING", trained)
            wait_for(status, {"HOSTED"}, while_in={"SYSTEM_UPDATING"})
            _, image = images()[0]
            assert detect(client, image)["IsAnomalous"] == (threshold == 0.0)
            stream.wait_for_more()
        client.update_inference_units(**model, MinInferenceUnits=2)
        wait_for(status, {"HOSTED"}, while_in={"SYSTEM_UPDATING"})

    assert stream.errors == []
    assert {answer["IsAnomalous"] for answer in stream.answers} == {True, False}
    assert len(list((served.folder / "bundles").iterdir())) == 1
    described = client.describe_model(**model)["ModelDescription"]
    assert described["Performance"] == performance
    assert client.describe_model_threshold(**model)["Threshold"] == trained


def test_a_moved_threshold_outlives_a_kill_and_is_exported(
    served_model: ServedDirectory, tmp_path: Path
) -> None:
    served = served_model
    client = served.client(models=installed_models())
    host(client)
    client.update_model_threshold(ProjectName=PROJECT, ModelVersion="1", Threshold=1e6)

    served.end(signal.SIGKILL)
    served.start()

    client = served.client(models=installed_models())
    _, anomaly = images()[-1]
    result = client.detect_anomalies(
        ProjectName=PROJECT,
        ModelVersion="1",
        ContentType="image/jpeg",
        Body=anomaly,
        HeatMap=True,
    )["DetectAnomalyResult"]
    assert (result["IsAnomalous"], result["Threshold"]) == (False, 1e6)
    assert len(list((served.folder / "bundles").iterdir())) == 1
    blemish = Path(sys.executable).with_name("blemish")
    folder = tmp_path / "exported"
    command = (blemish, "export", PROJECT, "1", "--to", folder, "--data-dir", served.folder)
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads((folder / "bundle.json").read_text())["threshold"] == 1e6
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    height, width = session.get_inputs()[0].shape[1:3]
    pixels = np.zeros((1, height, width, 3), dtype=np.uint8)
    (is_anomalous,) = session.run(["is_anomalous"], {"pixels": pixels})
    assert not is_anomalous


def test_a_batch_that_is_cut_off_begins_again_and_ends_whole(
    served_model: ServedDirectory,
) -> None:
    served = served_model
    client = served.client(models=installed_models())
    many = [data for _, data in images()] * 8  # more than are judged before the server is killed
    refs = [served.put(f"many/{row}.jpg", data) for row, data in enumerate(many)]
    lines = [{"source-ref": ref} for ref in [*refs, f"s3://{BUCKET}/absent.jpg"]]
    place = served.put_manifest("list.jsonl", lines)["GroundTruthManifest"]["S3Object"]
    batch = {"ProjectName": PROJECT, "BatchName": "night"}
    client.start_batch_detection(
        **batch,
        ModelVersion="1",
        ImageSource={"Manifest": place},
        OutputConfig={"S3Location": {"Bucket": BUCKET, "Prefix": "results/"}},
    )
    with pytest.raises(client.exceptions.ConflictException, match="batch detection night"):
        client.delete_model(ProjectName=PROJECT, ModelVersion="1")

    served.end(signal.SIGKILL)
    result = served.bucket / f"results/BatchDetection/{PROJECT}/night/ResultManifest.json"
    assert not result.exists()
    served.start()
    client = served.client(models=installed_models())
    wait_until(lambda: status_of(client, batch) == "SUCCEEDED", patience_s=240)

    found = [json.loads(line) for line in result.read_text().splitlines()]
    assert [line["source-ref"] for line in found] == [line["source-ref"] for line in lines]
    assert {line["anomaly-label-detected"] for line in found[:-1]} == {0, 1}
    assert found[-1]["error"] == f"There is no object s3://{BUCKET}/absent.jpg."
    stats = client.describe_batch_detection(**batch)["Batch"]["ImageStats"]
    assert (stats["Total"], stats["Failed"]) == (len(lines), 1)


def status_of(client: Any, batch: dict[str, str]) -> str:
    return str(client.describe_batch_detection(**batch)["Batch"]["Status"])
