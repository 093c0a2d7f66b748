"""The lock of a station's directory: one station at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blemish.station.errors import DirectoryError

LOCK = "station.lock"


@contextmanager
def locked_directory(directory: Path) -> Iterator[None]:
    """Keep other stations from a directory; the lock ends with the process.

    Raises:
        DirectoryError: another station runs in it, or it cannot be used.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / LOCK).open("a")
    except OSError as error:
        raise DirectoryError(f"{directory} cannot be used: {error.strerror}.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DirectoryError(
                f"Another station runs in {directory}. Stop it, or set another directory."
            ) from None
        yield
