"""A real server that is killed amid requests, and started again over what that left."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

from botocore.exceptions import BotoCoreError, ClientError

from tests.acceptance.served import (
    BUCKET,
    ServedDirectory,
    dataset_status,
    line,
    model_status,
    wait_for,
)
from tests.products import draw, png, write_backbone

PATIENCE_S = 60
CALLS_BETWEEN_STARTS = 12
"""A start takes as long as a hundred calls."""

IMAGES = 20
MEMORY = Path("/dev/shm")


def _source(key: str) -> dict[str, Any]:
    return {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET, "Key": key}}}


SOURCES: dict[str, dict[str, Any]] = {
    "empty": {},
    "good": {"DatasetSource": _source("good.manifest")},
    "bad": {"DatasetSource": _source("bad.manifest")},
}
OUTPUT = {"S3Location": {"Bucket": BUCKET, "Prefix": "out/"}}
GOOD_LINES = [line(f"s3://{BUCKET}/{number}.png", "normal") for number in range(15)]


def environment_of(prepared: Path) -> dict[str, str]:
    """Return settings for quick trainings, two at once."""
    return {
        "BLEMISH_BACKBONE": str(prepared.with_suffix(".onnx")),
        "BLEMISH_CONCURRENT_TRAININGS": "2",
        "BLEMISH_TRAINING_THREADS": "1",
    }


def prepare(folder: Path) -> None:
    """Make a data directory with images, manifests, and two models that are trained."""
    write_backbone(folder.with_suffix(".onnx"))
    served = ServedDirectory(folder, environment=environment_of(folder))
    served.start()
    client = served.client()
    try:
        for number in range(IMAGES):
            served.put(f"{number}.png", png(draw(number).pixels))
        served.put_manifest("good.manifest", GOOD_LINES)
        bad = [*GOOD_LINES, line(f"s3://{BUCKET}/none.png", "normal")]
        served.put_manifest("bad.manifest", bad)
        client.create_project(ProjectName="plates")
        client.create_dataset(ProjectName="plates", DatasetType="train", **SOURCES["good"])
        created = dataset_status(client, "plates", "train")
        wait_for(created, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})
        for _ in range(2):
            client.create_model(ProjectName="plates", OutputConfig=OUTPUT)
        for version in ("1", "2"):
            status = model_status(client, "plates", version)
            wait_for(status, {"TRAINED"}, while_in={"TRAINING"})
    finally:
        served.end()


@dataclass(frozen=True)
class Refused:
    """An error of the caller's, as it was answered."""

    code: str
    message: str


Outcome = dict[str, Any] | Refused


def outcome(call: Callable[[], dict[str, Any]]) -> Outcome:
    """Make a call; what is the server's fault is raised."""
    try:
        answer = call()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise
        return Refused(error.response["Error"]["Code"], error.response["Error"]["Message"])
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


class KilledServer:
    """A server over a copy of a prepared data directory."""

    PATIENCE_S: ClassVar[float] = PATIENCE_S
    #: of all servers together
    steps: ClassVar[int] = 0
    starts: ClassVar[int] = 0

    def __init__(
        self,
        prepared: Path,
        *,
        after_kill: Callable[[], None],
        before_start: Callable[[], None],
    ) -> None:
        self._after_kill = after_kill
        self._before_start = before_start
        self._home = Path(
            mkdtemp(prefix="blemish-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
        )
        shutil.copytree(prepared, self._home / "data")
        self._served = ServedDirectory(self._home / "data", environment=environment_of(prepared))
        self._tokens = map("token-{}".format, itertools.count())
        self.client: Any = None
        #: since the last start
        self.calls = 0
        #: the last request that succeeded: operation, members with its token, answer
        self.last: tuple[str, dict[str, Any], dict[str, Any]] | None = None

    def start(self) -> None:
        """Start the server, and see that a kill has left nothing behind."""
        assert not self._served.log.exists() or "Traceback" not in self.log(), self.log()
        self._before_start()
        self._served.start()
        self.client = self._served.client()
        self.calls = 0
        KilledServer.starts += 1
        self._check_files()

    def end(self, number: signal.Signals) -> None:
        """End the server by a signal."""
        status = self._served.end(number)
        assert status == (0 if number is signal.SIGTERM else -number), self.log()
        if number is signal.SIGKILL:
            self._after_kill()

    def close(self) -> None:
        """Kill the server, and remove its folder."""
        self._served.end(signal.SIGKILL)
        shutil.rmtree(self._home)

    def call(self, operation: str, **members: Any) -> Outcome:
        """Make one call."""
        KilledServer.steps += 1
        return outcome(partial(getattr(self.client, operation), **members))

    def ask(self, operation: str, kill_after_s: float | None = None, **members: Any) -> Outcome:
        """Make a request; with the server killed meanwhile, make it again with its token."""
        members |= {} if operation == "tag_resource" else {"ClientToken": next(self._tokens)}
        if kill_after_s is None or self.calls < CALLS_BETWEEN_STARTS:
            self.calls += 1
            answered = self.call(operation, **members)
        else:
            answered = self._ask_amid_a_kill(operation, kill_after_s, members)
        if isinstance(answered, dict) and "ClientToken" in members:
            self.last = (operation, members, answered)
        return answered

    def _ask_amid_a_kill(self, operation: str, after_s: float, members: dict[str, Any]) -> Outcome:
        assert self._served.process is not None
        killer = threading.Timer(after_s, self._served.process.kill)
        killer.start()
        first: Outcome | None = None
        with contextlib.suppress(BotoCoreError):
            first = self.call(operation, **members)
        killer.join()
        self._served.end(signal.SIGKILL)
        self._after_kill()
        self.start()
        second = self.call(operation, **members)
        if isinstance(first, dict):
            assert second == first, f"{operation} was answered {first}, and then {second}"
        return second

    def bundles_of(self, version: int) -> list[Path]:
        """Return the folder of the bundle of a model of `plates`, if it has one."""
        with contextlib.closing(sqlite3.connect(self._served.folder / "blemish.db")) as database:
            found = database.execute(
                "SELECT bundle FROM models JOIN projects ON projects.id = models.project_id "
                "WHERE name = 'plates' AND version = ? AND bundle IS NOT NULL",
                [version],
            )
            return [self._served.folder / "bundles" / name for (name,) in found]

    def _check_files(self) -> None:
        """No file is kept that no row names, and the rows agree with each other."""
        deadline = time.monotonic() + PATIENCE_S
        while unnamed := self._unnamed():
            assert time.monotonic() < deadline, unnamed
            time.sleep(0.05)

    def _unnamed(self) -> set[str]:
        """Return the names of kept files and bundles that no row has."""
        folder = self._served.folder
        found = {path.name for name in ("kept", "bundles") for path in (folder / name).iterdir()}
        with contextlib.closing(sqlite3.connect(folder / "blemish.db")) as database:
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
            assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            named = database.execute(
                "SELECT entries FROM models UNION SELECT bundle FROM models "
                "UNION SELECT changes FROM datasets"
            ).fetchall()
        return found - {name for (name,) in named}

    def log(self) -> str:
        """Return what the server said since it was started."""
        return self._served.log.read_text()
