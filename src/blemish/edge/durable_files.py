"""Files that are whole, and on the disk when a function returns."""

from __future__ import annotations

import os
from pathlib import Path

UNFINISHED = ".unfinished"


def write_whole_file(path: Path, data: bytes) -> None:
    """Write a file under another name, then in place; its name is durable after `sync_names`.

    Raises:
        OSError: it is not written.
    """
    aside = path.with_name(f".{path.name}{UNFINISHED}")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def sync_names(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
