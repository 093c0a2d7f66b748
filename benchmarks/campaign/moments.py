"""Faults at random moments: is everything there that was acknowledged, and is every status true?

    python -m benchmarks.campaign.moments [--moments 300] [--seed 1]

Somebody writes objects and projects all the time. At a random moment the server is killed or
stopped, its clock jumps, its disk is full or read-only, or a bundle is damaged. Afterwards each
object and each project must be as it was acknowledged last, or as the request that failed would
have made it, and the hosted model must be hosted again and detect as before. Kills between random
requests to the whole API are the state machine's: `python -m benchmarks.lifetimes`.
"""

from __future__ import annotations

import argparse
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.acceptance.lifetime_server import environment_of, prepare
from tests.acceptance.served import (
    ServedDirectory,
    fill,
    model_status,
    small_disk,
    wait_for,
)
from tests.acceptance.test_killed_objects import KEYS, Writer
from tests.acceptance.test_s3 import s3_client
from tests.products import draw, png

MODEL = {"ProjectName": "plates", "ModelVersion": "1"}
NAMES = ("first", "second", "third")
IMAGE = png(draw(0).pixels)
BUSY = {"STARTING_HOSTING", "SYSTEM_UPDATING", "HOSTING_FAILED"}
"""A failed hosting is tried again, since somebody wants it."""


class Life(Writer):
    """Writes objects and projects, and knows what may be there."""

    def __init__(self, served: ServedDirectory, choices: random.Random) -> None:
        super().__init__(served, choices)
        self.projects: dict[str, set[bool]] = {name: {False} for name in NAMES}
        self.stopping = threading.Event()
        self.acknowledged = 0
        #: statuses of the server's own errors since the last fault
        self.failures: Counter[str] = Counter()

    def write_until_stopped(self) -> None:
        """Write until `stopping` is set; a request that fails may have had its effect."""
        client = self._served.client(read_timeout=5, connect_timeout=2)
        self._s3 = s3_client(self._served)
        while not self.stopping.is_set():
            try:
                if self._random.random() < 0.5:
                    self._write_one()
                else:
                    self._change_project(client)
                self.acknowledged += 1
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if status >= 500:
                    self.failures[f"{status} {error}"[:200]] += 1
            except (BotoCoreError, ConnectionError):
                time.sleep(0.02)

    def _change_project(self, client: Any) -> None:
        name = self._random.choice(NAMES)
        created = self._random.random() < 0.5
        self.projects[name] = self.projects[name] | {created}
        try:
            (client.create_project if created else client.delete_project)(ProjectName=name)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in {"ConflictException", "ResourceNotFoundException"}:
                raise  # it is there already, or gone: as it was to become
        self.projects[name] = {created}

    def check(self) -> None:
        """Check every object and every project, and take them as they are."""
        self._s3 = s3_client(self._served)
        for key in KEYS:
            version = self.look(key)
            assert version in self.possible[key], (key, version, self.possible[key])
            self.possible[key] = {version}
        listed = self._served.client().list_projects()["Projects"]
        names = {project["ProjectName"] for project in listed}
        for name, possible in self.projects.items():
            assert (name in names) in possible, (name, names, possible)
            self.projects[name] = {name in names}


class Moments:
    """A server on a small disk, and the faults that befall it."""

    def __init__(self, served: ServedDirectory, disk: Path, choices: random.Random) -> None:
        self._served = served
        self._disk = disk
        self._random = choices
        self.life = Life(served, choices)
        self.faults: dict[str, Callable[[], None]] = {
            "SIGKILL": self._kill,
            "SIGSTOP": self._stop,
            "clock jump": self._jump,
            "full disk": self._fill,
            "read-only disk": self._lock,
            "damaged file": self._damage,
        }
        self.expected: Any = None

    def host(self) -> None:
        """Host the model, and note what it says of an image."""
        client = self._served.client()
        client.start_model(**MODEL, MinInferenceUnits=1)
        wait_for(model_status(client, "plates", "1"), {"HOSTED"}, while_in=BUSY)
        self.expected = self._detected()

    def moment(self, fault: str) -> None:
        """Write, inject a fault at a random moment, recover, and check everything."""
        life = self.life
        life.stopping.clear()
        life.failures.clear()
        writing = threading.Thread(target=life.write_until_stopped)
        writing.start()
        time.sleep(self._random.uniform(0.1, 1.5))
        try:
            self.faults[fault]()
            time.sleep(0.1)
        finally:
            life.stopping.set()
            writing.join()
        if fault not in {"full disk", "read-only disk"}:
            assert not life.failures, life.failures
        client = self._served.client()
        wait_for(model_status(client, "plates", "1"), {"HOSTED"}, while_in=BUSY)
        assert self._detected() == self.expected
        life.check()

    def _detected(self) -> Any:
        client = self._served.client()
        answer = client.detect_anomalies(**MODEL, ContentType="image/png", Body=IMAGE)
        result = answer["DetectAnomalyResult"]
        return result["IsAnomalous"], result["Confidence"]

    def _restart(self, number: signal.Signals, between: Callable[[], None] | None = None) -> None:
        self._served.end(number)
        if between:
            between()
        self._served.start()

    def _kill(self) -> None:
        self._restart(signal.SIGKILL)

    def _stop(self) -> None:
        assert self._served.process is not None
        self._served.process.send_signal(signal.SIGSTOP)
        time.sleep(self._random.uniform(0.1, 1.0))
        self._served.process.send_signal(signal.SIGCONT)

    def _jump(self) -> None:
        """Let the directory believe that the clock was elsewhere when the server ended."""
        days = self._random.choice([-800, -40, 40, 800])

        def move() -> None:
            path = self._served.folder / "blemish.db"
            with closing(sqlite3.connect(path)) as database, database:
                (text,) = database.execute("SELECT clock_read_at FROM directory").fetchone()
                at = datetime.fromisoformat(text) + timedelta(days=days)
                moved = at.strftime("%Y-%m-%d %H:%M:%S.%f")
                database.execute("UPDATE directory SET clock_read_at = ?", [moved])

        self._restart(self._random.choice([signal.SIGKILL, signal.SIGTERM]), move)

    def _fill(self) -> None:
        ballast = self._disk / "ballast"
        fill(ballast)
        time.sleep(self._random.uniform(0.1, 0.6))
        if self._random.random() < 0.3:
            self._served.end(signal.SIGKILL)
            self._served.start_as_it_is()
        assert self._detected() == self.expected or not self._is_hosted()
        ballast.unlink()
        self._restart(signal.SIGTERM)

    def _lock(self) -> None:
        self._served.end(signal.SIGKILL)
        self._remount("ro")
        try:
            self._served.start_as_it_is()
            time.sleep(self._random.uniform(0.1, 0.6))
            self._served.end(signal.SIGTERM)
        finally:
            self._remount("rw")
        self._served.start()

    def _damage(self) -> None:
        """Flip a byte of the bundle: the model must not be hosted, and is once it is mended."""
        folder = self._served.folder / "bundles"
        files = [path for path in folder.rglob("*") if path.is_file()]
        path = self._random.choice(files)
        data = path.read_bytes()
        at = self._random.randrange(len(data))
        wrong = data[:at] + bytes([data[at] ^ 1 << self._random.randrange(8)]) + data[at + 1 :]

        self._restart(signal.SIGKILL, lambda: _overwrite(path, wrong))
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if self._is_hosted():
                assert self._detected() == self.expected, "a damaged bundle detects otherwise"
                break  # another model's, or a part that nothing reads
            time.sleep(0.2)
        _overwrite(path, data)

    def _is_hosted(self) -> bool:
        return model_status(self._served.client(), "plates", "1")() == "HOSTED"

    def _remount(self, how: str) -> None:
        command = ["mount", "-o", f"remount,{how}", str(self._disk)]
        subprocess.run(command, check=True)


def _overwrite(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def main() -> int:
    """Run and print; return 1 if something was false or lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--moments", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=1_000, help="after which no fault begins")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="name of the one fault")
    arguments = parser.parse_args()
    choices = random.Random(arguments.seed)  # noqa: S311 - no secret
    done: Counter[str] = Counter()
    problems: list[str] = []
    began = time.monotonic()
    with TemporaryDirectory(prefix="blemish-moments-") as folder:
        prepared = Path(folder, "prepared")
        prepare(prepared)
        disk = Path(folder, "disk")
        with small_disk(disk, size="64m"):
            served = ServedDirectory(
                disk / "data", environment=environment_of(prepared), content=prepared
            )
            served.log = Path(folder, "server.log")
            served.start()
            moments = Moments(served, disk, choices)
            moments.host()
            for number in range(arguments.moments):
                if time.monotonic() - began > arguments.minutes * 60:
                    break
                fault = arguments.only or choices.choice(list(moments.faults))
                try:
                    moments.moment(fault)
                except (AssertionError, ClientError, BotoCoreError) as error:
                    problems.append(f"{fault}: {error}"[:1_000])
                    print(problems[-1], flush=True)
                    print(served.log.read_text()[-1_500:], flush=True)
                    break  # what follows may be its consequence
                done[fault] += 1
                if number % 10 == 9:
                    print(f"{number + 1} moments, {moments.life.acknowledged:,} writes", flush=True)
            served.end(signal.SIGKILL)
    for fault, count in sorted(done.items()):
        print(f"{fault:16} {count:5}")
    print(
        f"{sum(done.values())} moments in {time.monotonic() - began:,.0f} s, "
        f"{moments.life.acknowledged:,} acknowledged writes, {len(problems)} problems"
    )
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
