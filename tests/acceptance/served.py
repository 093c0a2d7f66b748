"""A real server process over a folder, and what a user of it does again and again."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.botocore_sessions import new_session

SERVE = (sys.executable, "-m", "blemish.cli.main", "serve", "--port", "0")
START_PATIENCE_S = 120
BUCKET = "images"


class ServedDirectory:
    """A data directory and the server process over it, which may be ended and started again."""

    def __init__(
        self,
        folder: Path,
        *,
        environment: dict[str, str],
        port: int = 0,
        content: Path | None = None,
        command: Sequence[str | Path] = SERVE,
    ) -> None:
        """Make the directory a copy of `content`; without one, the server makes it."""
        self._command = command
        if content is not None:
            shutil.copytree(content, folder, ignore=shutil.ignore_patterns("reserve"))
        self.folder = folder
        self.log = folder.with_suffix(".log")
        #: in the environment of every process of this server, to find them by
        self.mark = f"BLEMISH_TEST_MARK={folder}".encode()
        self._environment = os.environ | environment | {"BLEMISH_TEST_MARK": str(folder)}
        self._port = port
        self._number = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.endpoint = ""
        #: the address of the console's port
        self.console = ""

    @property
    def bucket(self) -> Path:
        """The folder of the one bucket."""
        return self.folder / "buckets" / BUCKET

    def start(self) -> None:
        """Start the server, wait until it listens, and make the bucket."""
        self.start_as_it_is()
        self.bucket.mkdir(parents=True, exist_ok=True)

    def start_as_it_is(self) -> None:
        """Start the server and wait until it listens; write nothing into its folder."""
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*self._command, "--port", str(self._port), "--data-dir", str(self.folder)],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_PATIENCE_S
        pattern = r"listens on (\S+)\nConsole: (\S+)/console\n"
        while not (found := re.search(pattern, self.log.read_text())):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        self.endpoint, self.console = found[1], found[2]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the server by a signal; return its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(START_PATIENCE_S)

    def doctor(self, folder: Path) -> str:
        """Return what `blemish doctor` says of a data directory, with the server's settings."""
        command = [*SERVE[:3], "doctor", "--json", "--data-dir", str(folder)]
        ended = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False
        )
        return ended.stdout

    def client(self, *, models: str | None = None, **config: Any) -> Any:
        """Return a client that knows the server by the files in DIR/aws alone.

        It has botocore's own model of the service, or the one in the folder `models`.
        """
        text = (self.folder / "aws" / "credentials").read_text()
        key = re.search(r"aws_access_key_id = (\S+)", text)
        secret = re.search(r"aws_secret_access_key = (\S+)", text)
        assert key is not None
        assert secret is not None
        return boto3.Session(botocore_session=new_session(models)).client(
            "lookoutvision",
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=key[1],
            aws_secret_access_key=secret[1],
            config=Config(retries={"max_attempts": 0}, **config),
        )

    def next_number(self) -> int:
        """Count up, for names that no other test of a shared server has."""
        self._number += 1
        return self._number

    def put(self, key: str, data: bytes) -> str:
        """Put an object into the bucket; return its URL."""
        path = self.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return f"s3://{BUCKET}/{key}"

    def put_manifest(self, key: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
        """Put a manifest; return it as a DatasetSource."""
        self.put(key, "".join(json.dumps(line) + "\n" for line in lines).encode())
        return {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET, "Key": key}}}


def line(url: str, label: str | None) -> dict[str, Any]:
    """Return the manifest line of an image; without a label for None."""
    if label is None:
        return {"source-ref": url}
    return {
        "source-ref": url,
        "anomaly-label": int(label == "anomaly"),
        "anomaly-label-metadata": {
            "class-name": label,
            "type": "groundtruth/image-classification",
            "human-annotated": "yes",
            "creation-date": "2024-01-02T03:04:05.678Z",
            "confidence": 1,
        },
    }


def wait_for(
    read: Callable[[], str], wanted: set[str], *, patience_s: float = 600, while_in: set[str]
) -> str:
    """Wait until a status is one of `wanted`; any other than those in `while_in` fails."""
    deadline = time.monotonic() + patience_s
    while (status := read()) not in wanted:
        assert status in while_in, status
        assert time.monotonic() < deadline, f"still {status}"
        time.sleep(0.1)
    return status


def dataset_status(client: Any, project: str, kind: str) -> Callable[[], str]:
    """Return a reader of a dataset's status."""

    def read() -> str:
        answer = client.describe_dataset(ProjectName=project, DatasetType=kind)
        return str(answer["DatasetDescription"]["Status"])

    return read


def model_status(client: Any, project: str, version: str) -> Callable[[], str]:
    """Return a reader of a model's status."""

    def read() -> str:
        answer = client.describe_model(ProjectName=project, ModelVersion=version)
        return str(answer["ModelDescription"]["Status"])

    return read


def environment(home: Path, **more: str | Path) -> dict[str, str]:
    """Return an environment in which nothing of AWS is set, but for `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {"HOME": str(home)} | {name: str(value) for name, value in more.items()}


def aws_files(served: ServedDirectory) -> dict[str, str | Path]:
    """Return the variables that `blemish serve` tells to set."""
    return {
        "AWS_CONFIG_FILE": served.folder / "aws" / "config",
        "AWS_SHARED_CREDENTIALS_FILE": served.folder / "aws" / "credentials",
        "AWS_PROFILE": "blemish",
    }


@contextmanager
def small_disk(folder: Path, *, size: str) -> Iterator[None]:
    """Mount a small file system in memory over a folder."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a file system can be mounted by root alone")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def served_on_small_disk(folder: Path, *, size: str) -> Iterator[ServedDirectory]:
    """Serve a folder on a small disk, mounted at `disk`; the log is elsewhere."""
    with small_disk(folder / "disk", size=size):
        served = ServedDirectory(folder / "disk" / "data", environment={})
        served.log = folder / "server.log"
        served.start()
        try:
            yield served
        finally:
            served.end()


def fill(ballast: Path) -> None:
    """Write a file until its disk is full."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4_096)):
            pass
