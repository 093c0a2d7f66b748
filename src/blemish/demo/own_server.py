"""The server that the demo starts for itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blemish.storage.data_directory import DataDirectory

START_PATIENCE_S = 30.0
POLL_S = 0.05


class ServerStartError(Exception):
    """The demo's server did not start; the message has its log."""


@contextmanager
def own_server(directory: DataDirectory, *, log: Path, mixed_sizes: bool) -> Iterator[None]:
    """Run `blemish serve` over a data directory on a free port of loopback.

    Raises:
        ServerStartError: it did not start.
    """
    settings = {
        "BLEMISH_DATA_DIR": str(directory.root),
        "BLEMISH_MIXED_SIZES": str(mixed_sizes).lower(),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "blemish.cli.main", "serve", "--port", "0"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | settings,
        )
    try:
        _wait_until_it_listens(process, log)
        yield
    finally:
        process.terminate()
        process.wait(START_PATIENCE_S)


def _wait_until_it_listens(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_PATIENCE_S
    while "Blemish listens on" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ServerStartError(f"The server did not start:\n{log.read_text()}")
        time.sleep(POLL_S)
