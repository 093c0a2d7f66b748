"""The locks of a station's directory: one station and one sync at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blemish.station.errors import DirectoryError


@contextmanager
def locked_directory(directory: Path, *, work: str = "station") -> Iterator[None]:
    """Keep others from the same work in a directory; the lock ends with the process.

    Raises:
        DirectoryError: another `work` runs in it, or it cannot be used.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / f"{work}.lock").open("a")
    except OSError as error:
        raise DirectoryError(f"{directory} cannot be used: {error.strerror}.") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DirectoryError(
                f"Another {work} runs in {directory}. Stop it, or set another directory."
            ) from None
        yield
