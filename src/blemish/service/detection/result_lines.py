"""The result lines of a running detection job, which outlive the attempt that wrote them.

FOLDER/lines.jsonl       a line for each image, in the order of the list
FOLDER/checkpoint.json   how much of it is on the disk, and to which list and bundle it belongs

After a kill the next attempt cuts off the lines behind the checkpoint, and goes on there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from blemish.domain.detection_jobs import ImageCounts
from blemish.storage.files import clear_file_errors, write_durably

CHUNK_BYTES = 1024 * 1024
LINES = "lines.jsonl"
CHECKPOINT = "checkpoint.json"


class ResultLines:
    """The lines in a folder, to which one thread adds."""

    def __init__(self, folder: Path, *, origin: str, total: int) -> None:
        """Open the folder, or begin anew if its lines are of another origin or incomplete.

        Args:
            folder: is made if it is missing.
            origin: identifies the job, its list and the bundle that detects.
            total: images of the list.

        Raises:
            StoreWriteError: it cannot be written.
        """
        self._folder = folder
        self._origin = origin
        self.counts = ImageCounts(total=total, normal=0, anomaly=0, failed=0)
        size = 0
        checkpoint = _checkpoint(folder)
        if checkpoint.get("origin") == origin and checkpoint["bytes"] <= _size(folder / LINES):
            self.counts = ImageCounts(**checkpoint["counts"])
            size = checkpoint["bytes"]
        with clear_file_errors("the results of a detection job"):
            folder.mkdir(mode=0o700, exist_ok=True)
            self._file = (folder / LINES).open("a+b")
            self._file.truncate(size)

    def add(self, line: str) -> None:
        """Add the line of the next image.

        Raises:
            StoreWriteError: it cannot be written.
        """
        with clear_file_errors("the results of a detection job"):
            self._file.write(f"{line}\n".encode())

    def keep(self, counts: ImageCounts) -> None:
        """Make the lines outlive a crash.

        Args:
            counts: of the images whose lines were added.

        Raises:
            StoreWriteError: they cannot be written.
        """
        with clear_file_errors("the results of a detection job"):
            self._file.flush()
            os.fdatasync(self._file.fileno())
            size = self._file.tell()
        checkpoint = {"origin": self._origin, "bytes": size, "counts": asdict(counts)}
        data = json.dumps(checkpoint).encode()
        write_durably(self._folder / CHECKPOINT, data, staging=self._folder)

    def chunks(self) -> Iterator[bytes]:
        """Yield the file in chunks."""
        self._file.seek(0)
        yield from iter(partial(self._file.read, CHUNK_BYTES), b"")

    def __iter__(self) -> Iterator[str]:
        """Yield the lines."""
        self._file.seek(0)
        for line in self._file:
            yield line.decode()

    def close(self) -> None:
        """Close the file.

        Raises:
            StoreWriteError: the last lines cannot be written.
        """
        with clear_file_errors("the results of a detection job"):
            self._file.close()


def _size(path: Path) -> int:
    """Return the bytes of a file; 0 if it is missing."""
    return path.stat().st_size if path.exists() else 0


def _checkpoint(folder: Path) -> dict[str, Any]:
    """Return the checkpoint of a folder; an empty one if there is none that can be read."""
    try:
        checkpoint = json.loads((folder / CHECKPOINT).read_bytes())
    except (OSError, ValueError):
        return {}
    return checkpoint if isinstance(checkpoint, dict) else {}
