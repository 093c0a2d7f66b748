"""What the original did not have, by a real client that knows it and a real server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.product import PROJECT, make_dataset, start_training
from tests.acceptance.served import ServedDirectory, model_status
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


@pytest.mark.parametrize("delay_s", [0.0, 2.0])
def test_a_training_that_is_cancelled_ends_promptly_and_leaves_nothing(
    serve: Callable[..., ServedDirectory], delay_s: float
) -> None:
    served = serve(BLEMISH_CONCURRENT_TRAININGS="1")
    client = served.client(models=installed_models())
    make_dataset(served, client)
    running, waiting = start_training(client), start_training(client)
    training_process(served)
    time.sleep(delay_s)

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
