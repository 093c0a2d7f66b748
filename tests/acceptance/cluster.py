"""Servers that share one PostgreSQL and one S3, each over a data directory of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import psycopg
from botocore.config import Config

from blemish.storage.database.addresses import PostgresqlAddress
from tests.acceptance.served import BUCKET, ServedDirectory, line
from tests.asgi_client import installed_models
from tests.botocore_sessions import new_session
from tests.ports import free_port
from tests.products import draw, png, write_backbone

FILES_BUCKET = "files"
IMAGES = 15
LEASE_S = 10.0
"""How long the owner of a row may be silent."""

WITHIN_S = LEASE_S + 5
"""How long after the end of a server its rows may be nobody's."""

OUTPUT = {"S3Location": {"Bucket": BUCKET, "Prefix": "out/"}}
WORK_TABLES = ("datasets", "models", "detection_jobs", "packaging_jobs")


class Cluster:
    """A plant: the S3 is a server of its own, which nobody but the others uses."""

    def __init__(
        self, folder: Path, address: PostgresqlAddress, *, environment: dict[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.address = address
        self._more = environment or {}
        self.s3 = ServedDirectory(folder / "s3", environment={}, port=free_port())
        self.servers: dict[str, ServedDirectory] = {}

    def start_s3(self) -> None:
        """Start the S3, make its buckets, and put images and a manifest there."""
        self.s3.start()
        (self.s3.folder / "buckets" / FILES_BUCKET).mkdir(exist_ok=True)
        write_backbone(self.folder / "backbone.onnx")
        lines = [
            line(self.s3.put(f"{number}.png", png(draw(number).pixels)), "normal")
            for number in range(IMAGES)
        ]
        self.s3.put_manifest("images.manifest", lines)

    def environment(self) -> dict[str, str]:
        """Return the settings that all servers have."""
        key_id, secret = key_of(self.s3)
        return {
            "BLEMISH_DATABASE_URL": self.address.url,
            "BLEMISH_S3_ENDPOINT": self.s3.endpoint,
            "BLEMISH_S3_ACCESS_KEY_ID": key_id,
            "BLEMISH_S3_SECRET_ACCESS_KEY": secret,
            "BLEMISH_FILES_URL": f"s3://{FILES_BUCKET}/plant",
            "BLEMISH_BACKBONE": str(self.folder / "backbone.onnx"),
            "BLEMISH_CONCURRENT_TRAININGS": "1",
            "BLEMISH_TRAINING_THREADS": "1",
            "BLEMISH_DETECTION_THREADS": "1",
        } | self._more

    def server(self, name: str, **settings: str) -> ServedDirectory:
        """Return a new server that is not started; it has the keyring of the first."""
        served = ServedDirectory(
            self.folder / name, environment=self.environment() | settings, port=free_port()
        )
        if self.servers:
            first = next(iter(self.servers.values()))
            shutil.copytree(first.folder / "keyring", served.folder / "keyring")
        self.servers[name] = served
        return served

    def start(self, name: str, **settings: str) -> ServedDirectory:
        """Start a new server."""
        served = self.server(name, **settings)
        served.start_as_it_is()
        return served

    def client(self, served: ServedDirectory, **config: Any) -> Any:
        """Return a client of one server, with the access key that the first server made."""
        return self.client_at(served.endpoint, **config)

    def client_at(self, endpoint: str, **config: Any) -> Any:
        """Return a client of an address."""
        key_id, secret = key_of(next(iter(self.servers.values())))
        return boto3.Session(botocore_session=new_session(installed_models())).client(
            "lookoutvision",
            region_name="us-east-1",
            endpoint_url=endpoint,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            config=Config(**{"retries": {"max_attempts": 0}} | config),
        )

    def command(self, served: ServedDirectory, *arguments: str) -> str:
        """Run a command on the data directory of a server."""
        environment = os.environ | self.environment() | {"BLEMISH_DATA_DIR": str(served.folder)}
        ended = subprocess.run(
            [sys.executable, "-m", "blemish.cli.main", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def ask(self, statement: str, *values: object) -> list[Any]:
        """Ask the database."""
        with psycopg.connect(self.address.url) as connection:
            return connection.execute(statement, values).fetchall()

    def held_by(
        self, served: ServedDirectory, *, lapsed: bool = False
    ) -> dict[tuple[str, int], int]:
        """Return the rows that a server holds, with their attempts.

        Args:
            served: the server.
            lapsed: whether rows count whose lease has ended, and that nobody has taken since.
        """
        is_held = "" if lapsed else "AND lease_until >= clock_timestamp()"
        assert served.process is not None
        return {
            (table, row_id): attempt
            for table in WORK_TABLES
            for row_id, attempt in self.ask(
                f"SELECT id, attempt FROM {table} WHERE owner LIKE %s {is_held}",
                f"{served.process.pid}-%",
            )
        }

    def end(self) -> None:
        """Kill what still runs."""
        for served in (*self.servers.values(), self.s3):
            if served.process is not None:
                served.end(signal.SIGKILL)


def key_of(served: ServedDirectory) -> list[str]:
    """Return id and secret of the first access key, from the file of the server that made it."""
    return re.findall(r" = (\S+)", (served.folder / "aws" / "credentials").read_text())


def source(key: str) -> dict[str, Any]:
    """Return a manifest as a DatasetSource."""
    return {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET, "Key": key}}}


def eventually(read: Callable[[], Any], *, within_s: float) -> Any:
    """Wait until something is true; return it."""
    deadline = time.monotonic() + within_s
    while not (value := read()):
        assert time.monotonic() < deadline, f"{read} is still {value!r}"
        time.sleep(0.1)
    return value


def result_lines(cluster: Cluster, project: str, batch: str) -> list[dict[str, Any]]:
    """Return the results of a batch."""
    file = cluster.s3.bucket / f"out/BatchDetection/{project}/{batch}/ResultManifest.json"
    return [json.loads(text) for text in file.read_text().splitlines()]
