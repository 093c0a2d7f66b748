"""Models that are down, and a database that is locked: what a real server does until that ends."""

from __future__ import annotations

import json
import resource
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

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
LOCKED_S = 45
FEW_FILES = 10
"""Fewer descriptors than a server has open, so that it gets no other."""


def readiness(served: ServedDirectory) -> dict[str, Any]:
    try:
        with urlopen(f"{served.endpoint}/readyz") as answer:
            document: dict[str, Any] = json.load(answer)
    except HTTPError as error:
        document = json.load(error)
    return document


def test_a_hosted_model_whose_key_is_away_comes_back_by_itself(
    served_model: ServedDirectory, tmp_path: Path
) -> None:
    served = served_model
    client = served.client()
    host(client)
    _, body = images()[0]
    before = detect(client, body)
    served.end(signal.SIGTERM)
    (key,) = (served.folder / "keyring").glob("*.json")
    key.rename(tmp_path / key.name)
    served.start()
    client = served.client()
    status = model_status(client, PROJECT, "1")

    wait_for(status, {"HOSTING_FAILED"}, while_in={"SYSTEM_UPDATING"})
    down = readiness(served)
    (tmp_path / key.name).rename(key)
    wait_for(status, {"HOSTED"}, while_in={"HOSTING_FAILED"})

    assert not down["ready"]
    assert f"down: {PROJECT}/1" in down["checks"]["models"]
    assert detect(client, body) == before


@pytest.mark.slow
def test_a_database_that_is_locked_for_long_delays_and_loses_nothing(
    served: ServedDirectory,
) -> None:
    client = served.client(read_timeout=120)
    make_dataset(served, client)
    version = start_training(client)
    created = threading.Thread(target=client.create_project, kwargs={"ProjectName": "later"})

    with closing(
        sqlite3.connect(served.folder / "blemish.db", isolation_level=None, timeout=30)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        created.start()
        until = time.monotonic() + LOCKED_S
        while time.monotonic() < until:
            locked = readiness(served)
            time.sleep(1)
        other.rollback()
    created.join()

    assert "locked by another process" in locked["checks"]["database"]
    assert "later" in {project["ProjectName"] for project in client.list_projects()["Projects"]}
    wait_for(model_status(client, PROJECT, version), {"TRAINED"}, while_in={"TRAINING"})
    assert readiness(served)["ready"]


def test_a_training_without_free_descriptors_is_interrupted_and_ends_well_later(
    served: ServedDirectory,
) -> None:
    client = served.client()
    make_dataset(served, client)
    version = start_training(client)
    wait_for_step(client, version, "cross-validation")
    assert served.process is not None
    process = served.process.pid
    soft, hard = resource.prlimit(process, resource.RLIMIT_NOFILE)

    resource.prlimit(process, resource.RLIMIT_NOFILE, (FEW_FILES, hard))
    wait_for(
        lambda: "yes" if "interrupted" in served.log.read_text() else "no", {"yes"}, while_in={"no"}
    )
    resource.prlimit(process, resource.RLIMIT_NOFILE, (soft, hard))

    status = model_status(served.client(), PROJECT, version)
    wait_for(status, {"TRAINED"}, while_in={"TRAINING"})
    assert "Too many open files" in served.log.read_text()
