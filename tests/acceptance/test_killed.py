"""Whatever is killed, and whenever: after a start every status is true."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.product import (
    PROJECT,
    detect,
    host,
    images,
    make_dataset,
    start_training,
    wait_for_step,
)
from tests.acceptance.served import ServedDirectory, model_status, wait_for

pytestmark = pytest.mark.acceptance
PATIENCE_S = 120


def training_processes(served: ServedDirectory) -> list[int]:
    """Return the ids of the processes that train for a data directory, whoever their parent is."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if b"blemish.runners.training_process" in command and served.mark in environment:
            found.append(int(process.name))
    return found


def training_process(served: ServedDirectory) -> int:
    """Wait for the one training process."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := training_processes(served)):
        assert time.monotonic() < deadline, served.log.read_text()
        time.sleep(0.02)
    (process,) = found
    return process


def wait_until_gone(process: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < deadline, f"process {process} is still there"
        time.sleep(0.05)


def check_trained(served: ServedDirectory, client: Any, version: str) -> None:
    """The model is trained, once: one bundle, evaluation files, nothing left of other attempts."""
    status = model_status(client, PROJECT, version)
    wait_for(status, {"TRAINED"}, while_in={"TRAINING"})
    assert len(list((served.folder / "bundles").iterdir())) == 1
    assert (served.bucket / f"out/EvaluationResult-{PROJECT}-{version}.json").is_file()
    deadline = time.monotonic() + PATIENCE_S  # the attempt's folder goes once the row has turned
    while left := [*(served.folder / "attempts").iterdir(), *(served.folder / "staging").iterdir()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_a_training_that_is_killed_is_taken_up_again(served: ServedDirectory) -> None:
    client = served.client()
    make_dataset(served, client)
    version = start_training(client)
    first = training_process(served)

    os.kill(first, signal.SIGKILL)

    wait_until_gone(first)
    check_trained(served, client, version)


@pytest.mark.parametrize(
    "step",
    [
        None,
        pytest.param("reading images", marks=pytest.mark.slow),
        pytest.param("computing features", marks=pytest.mark.slow),
        "fitting to all images",
    ],
)
def test_a_server_that_is_killed_takes_its_training_along_and_up_again(
    served: ServedDirectory, step: str | None
) -> None:
    client = served.client()
    make_dataset(served, client)
    version = start_training(client)
    first = training_process(served)
    if step:
        wait_for_step(client, version, step)

    served.end(signal.SIGKILL)

    wait_until_gone(first)
    served.start()
    check_trained(served, served.client(), version)


def test_server_and_training_killed_together_come_back(served: ServedDirectory) -> None:
    client = served.client()
    make_dataset(served, client)
    version = start_training(client)
    first = training_process(served)

    os.kill(first, signal.SIGKILL)
    served.end(signal.SIGKILL)

    served.start()
    check_trained(served, served.client(), version)


def test_a_training_that_sleeps_past_its_lease_is_replaced_for_good(
    served: ServedDirectory,
) -> None:
    client = served.client()
    make_dataset(served, client)
    version = start_training(client)
    first = training_process(served)

    os.kill(first, signal.SIGSTOP)
    deadline = time.monotonic() + PATIENCE_S
    while first in training_processes(served):
        assert time.monotonic() < deadline
        time.sleep(0.1)

    check_trained(served, client, version)
    assert "said nothing" in served.log.read_text()


def lease_of(served: ServedDirectory) -> datetime:
    """Return the end of the lease of the one model, as its row has it."""
    with closing(sqlite3.connect(served.folder / "blemish.db")) as database:
        ((lease_until,),) = database.execute("SELECT lease_until FROM models")
    return datetime.fromisoformat(lease_until).replace(tzinfo=UTC)


def test_a_server_that_sleeps_past_its_lease_goes_on(served: ServedDirectory) -> None:
    client = served.client()
    make_dataset(served, client)
    version = start_training(client)
    training_process(served)
    assert served.process is not None

    served.process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + PATIENCE_S
    while lease_of(served) > datetime.now(UTC):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    served.process.send_signal(signal.SIGCONT)

    check_trained(served, served.client(), version)  # the old connection may be timed out


def test_a_training_that_dies_every_time_fails_with_the_reason(
    serve: Callable[..., ServedDirectory],
) -> None:
    served = serve()
    client = served.client()
    make_dataset(served, client)
    version = start_training(client)
    status = model_status(client, PROJECT, version)

    deadline = time.monotonic() + 120
    while status() == "TRAINING":
        assert time.monotonic() < deadline
        for process in training_processes(served):
            os.kill(process, signal.SIGKILL)
        time.sleep(0.05)

    model = client.describe_model(ProjectName=PROJECT, ModelVersion=version)["ModelDescription"]
    assert model["Status"] == "TRAINING_FAILED"
    assert "interrupted 5 times" in model["StatusMessage"]
    assert list((served.folder / "bundles").iterdir()) == []


def test_sigterm_ends_a_server_cleanly_and_its_training_goes_on_later(
    served: ServedDirectory,
) -> None:
    client = served.client()
    make_dataset(served, client)
    version = start_training(client)
    first = training_process(served)

    assert served.end(signal.SIGTERM) == 0

    assert not Path(f"/proc/{first}").exists()
    assert "Traceback" not in served.log.read_text()
    served.start()
    check_trained(served, served.client(), version)


def test_hosted_models_are_hosted_again_after_a_kill(served_model: ServedDirectory) -> None:
    served = served_model
    client = served.client()
    host(client)
    _, body = images()[0]
    before = detect(client, body)

    served.end(signal.SIGKILL)
    served.start()

    client = served.client()
    assert detect(client, body) == before  # waits for the model while it is SYSTEM_UPDATING
    status = model_status(client, PROJECT, "1")
    wait_for(status, {"HOSTED"}, while_in={"SYSTEM_UPDATING"})


def test_a_damaged_bundle_fails_to_start_with_the_reason(served_model: ServedDirectory) -> None:
    served = served_model
    client = served.client()
    status = model_status(client, PROJECT, "1")
    (graph,) = (served.folder / "bundles").glob("*/model.onnx.sealed")
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)

    client.start_model(ProjectName=PROJECT, ModelVersion="1", MinInferenceUnits=1)

    wait_for(status, {"HOSTING_FAILED"}, while_in={"STARTING_HOSTING"})
    model = client.describe_model(ProjectName=PROJECT, ModelVersion="1")["ModelDescription"]
    assert f"{graph} cannot be opened: it is damaged" in model["StatusMessage"]
    client.delete_model(ProjectName=PROJECT, ModelVersion="1")
