"""A real server of S3's protocol on loopback: moto's, from an environment of its own."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.acceptance.registry import ROOT, kept_environment

START_PATIENCE_S = 60
REGION = "us-east-1"
KEY = {"access_key_id": "other-key", "secret_access_key": "other-secret"}


@contextmanager
def moto_server(log: Path, **environment: str) -> Iterator[str]:
    """Serve until the end of the context; yield the URL."""
    python = kept_environment(ROOT / "requirements-s3-clients.lock", folder=".venv-s3-clients")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, python.with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    try:
        deadline = time.monotonic() + START_PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_PATIENCE_S)


def moto_client(url: str) -> Any:
    """Return boto3's client of such a server."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEY["access_key_id"],
        aws_secret_access_key=KEY["secret_access_key"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )
