"""Trainings, imports and batches on several servers, of which one is killed amid them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tests.acceptance.cluster import (
    IMAGES,
    OUTPUT,
    WITHIN_S,
    Cluster,
    eventually,
    result_lines,
    source,
)
from tests.acceptance.served import (
    BUCKET,
    ServedDirectory,
    dataset_status,
    line,
    model_status,
    wait_for,
)

TRAINED = "trained"
"""The project with a model that judges the batches."""

BATCH_IMAGES = 300
PATIENCE_S = 900

SETTLED_S = 0.5
"""After a kill, until what was sent to PostgreSQL is committed or undone."""


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much there is to do."""

    trainings: int
    imports: int
    batches: int


@dataclass(frozen=True, kw_only=True)
class KillReport:
    """What came of a kill."""

    #: rows that the server held when it was killed, by kind
    held: dict[str, int]
    #: seconds until the last of these rows was another server's or nobody's
    freed_after_s: float
    #: seconds from the first request to the end of all work
    took_s: float


def prepare_work(cluster: Cluster, client: Any) -> None:
    """Train the model for batches, and make a manifest of many images."""
    make_project(client, TRAINED)
    client.create_model(ProjectName=TRAINED, OutputConfig=OUTPUT)
    status = model_status(client, TRAINED, "1")
    wait_for(status, {"TRAINED"}, while_in={"TRAINING"}, patience_s=PATIENCE_S)
    lines = [line(f"s3://{BUCKET}/{number % IMAGES}.png", None) for number in range(BATCH_IMAGES)]
    for number, each in enumerate(lines):  # a list names an image once
        data = (cluster.s3.bucket / f"{number % IMAGES}.png").read_bytes()
        each["source-ref"] = cluster.s3.put(f"batch/{number}.png", data)
    cluster.s3.put_manifest("batch.manifest", lines)


def make_project(client: Any, name: str) -> None:
    """Make a project with a training dataset."""
    client.create_project(ProjectName=name)
    client.create_dataset(
        ProjectName=name, DatasetType="train", DatasetSource=source("images.manifest")
    )
    status = dataset_status(client, name, "train")
    wait_for(status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})


def kill_amid_work(
    cluster: Cluster,
    killed: ServedDirectory,
    left: ServedDirectory,
    amount: Amount,
    *,
    number: signal.Signals = signal.SIGKILL,
) -> KillReport:
    """Start work through both servers, kill one, and check what the other makes of it.

    Everything is done, and once: there are as many attempts as rows, and one more for each that
    the killed server held or that a server says it gave up.
    """
    clients = [cluster.client(killed), cluster.client(left)]
    for index in range(amount.trainings):
        make_project(clients[index % 2], f"train-{index}")
    for index in range(amount.imports):
        clients[1].create_project(ProjectName=f"import-{index}")
    before = attempts(cluster)
    began = time.monotonic()
    start_work(clients, amount)
    eventually(lambda: _all_kinds(cluster, killed, amount), within_s=60)
    killed_at = time.monotonic()
    killed.end(number)
    time.sleep(SETTLED_S)
    held = cluster.held_by(killed, lapsed=True)
    eventually(lambda: not cluster.held_by(killed), within_s=WITHIN_S)
    freed_after_s = time.monotonic() - killed_at
    check_done(cluster, clients[1], amount)
    took_s = time.monotonic() - began
    after = attempts(cluster)
    for row, attempt in after.items():
        least = held[row] + 1 if row in held else before.get(row, 1)
        assert attempt >= least, (row, attempt, least)
    new = after.keys() - before.keys()
    begun = sum(after.values()) - sum(before.values())
    assert begun == len(new) + len(held) + interruptions(killed) + interruptions(left)
    kinds = [table for table, _ in held]
    return KillReport(
        held={table: kinds.count(table) for table in kinds},
        freed_after_s=freed_after_s,
        took_s=took_s,
    )


def start_work(clients: list[Any], amount: Amount) -> None:
    """Start trainings, batches and imports, through the servers in turn."""
    for index in range(amount.trainings):
        clients[index % 2].create_model(ProjectName=f"train-{index}", OutputConfig=OUTPUT)
    for index in range(amount.batches):
        clients[index % 2].start_batch_detection(
            ProjectName=TRAINED,
            BatchName=f"batch-{index}",
            ModelVersion="1",
            ImageSource={"Manifest": {"Bucket": BUCKET, "Key": "batch.manifest"}},
            OutputConfig=OUTPUT,
        )
    for index in range(amount.imports):
        clients[index % 2].create_dataset(
            ProjectName=f"import-{index}",
            DatasetType="train",
            DatasetSource=source("batch.manifest"),
        )


def check_done(cluster: Cluster, client: Any, amount: Amount) -> None:
    """Wait until everything is done, and check its results."""
    for index in range(amount.imports):
        status = dataset_status(client, f"import-{index}", "train")
        wait_for(
            status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"}, patience_s=PATIENCE_S
        )
        described = client.describe_dataset(ProjectName=f"import-{index}", DatasetType="train")
        stats = described["DatasetDescription"]["ImageStats"]
        assert stats["Total"] == BATCH_IMAGES, stats
    for index in range(amount.trainings):
        status = model_status(client, f"train-{index}", "1")
        wait_for(status, {"TRAINED"}, while_in={"TRAINING"}, patience_s=PATIENCE_S)
    for index in range(amount.batches):
        name = f"batch-{index}"
        status = batch_status(client, name)
        wait_for(status, {"SUCCEEDED"}, while_in={"CREATED", "RUNNING"}, patience_s=PATIENCE_S)
        refs = [result["source-ref"] for result in result_lines(cluster, TRAINED, name)]
        assert refs == [f"s3://{BUCKET}/batch/{number}.png" for number in range(BATCH_IMAGES)]


def batch_status(client: Any, name: str) -> Callable[[], str]:
    """Return a reader of a batch's status."""

    def read() -> str:
        answer = client.describe_batch_detection(ProjectName=TRAINED, BatchName=name)
        return str(answer["Batch"]["Status"])

    return read


def attempts(cluster: Cluster) -> dict[tuple[str, int], int]:
    """Return the attempts of trainings, imports and batches; hosting begins others."""
    return {
        (table, row_id): attempt
        for table in ("datasets", "models", "detection_jobs")
        for row_id, attempt in cluster.ask(f"SELECT id, attempt FROM {table}")
    }


def interruptions(served: ServedDirectory) -> int:
    """Return how many attempts a server gave up since its start, as on a store that is busy."""
    text = served.log.read_text()
    return text.count('"event": "work was interrupted"') + text.count(
        '"event": "a training was interrupted"'
    )


def _all_kinds(cluster: Cluster, served: ServedDirectory, amount: Amount) -> bool:
    """Return whether a server works on something, and on each kind unless that is over."""
    with suppress(StopIteration):
        tables = {table for table, _ in cluster.held_by(served)}
        wanted = {
            table
            for table, count in (
                ("models", amount.trainings),
                ("datasets", amount.imports),
                ("detection_jobs", amount.batches),
            )
            if count
        }
        return tables >= wanted or ("models" in tables and len(tables) > 1)
    return False
