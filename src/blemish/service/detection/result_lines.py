"""The result lines of a running detection job, which outlive the attempt that wrote them.

FOLDER/lines.jsonl       a line for each image, in the order of the list
FOLDER/checkpoint.json   how much of it is on the disk, and to which list and bundle it belongs

After a kill the next attempt cuts off the lines behind the checkpoint, and goes on there. Where
servers share their files, it begins with the shared lines instead, whichever server it runs on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from blemish.domain.detection_jobs import ImageCounts
from blemish.service.detection.shared_lines import SharedLines
from blemish.storage.files import clear_file_errors, write_durably

CHUNK_BYTES = 1024 * 1024
LINES = "lines.jsonl"
CHECKPOINT = "checkpoint.json"


class ResultLines:
    """The lines in a folder, to which one thread adds."""

    def __init__(
        self, folder: Path, *, origin: str, total: int, shared: SharedLines | None = None
    ) -> None:
        """Open the folder, or begin anew if its lines are of another origin or incomplete.

        Args:
            folder: is made if it is missing.
            origin: identifies the job, its list and the bundle that detects.
            total: images of the list.
            shared: where other servers find the lines; None if there are no others.

        Raises:
            StoreWriteError: it cannot be written.
            StoreUnavailableError: the S3 of the shared lines does not answer.
        """
        self._folder = folder
        self._origin = origin
        self._shared = shared
        self.counts = ImageCounts(total=total, normal=0, anomaly=0, failed=0)
        size = 0
        checkpoint = {} if shared else _checkpoint(folder)
        if checkpoint.get("origin") == origin and checkpoint["bytes"] <= _size(folder / LINES):
            self.counts = ImageCounts(**checkpoint["counts"])
            size = checkpoint["bytes"]
        with clear_file_errors("the results of a detection job"):
            folder.mkdir(mode=0o700, exist_ok=True)
            self._file = (folder / LINES).open("a+b")
            self._file.truncate(size)
        try:
            #: of the lines that other servers find
            self._shared_bytes = self._restore(shared) if shared else 0
        except BaseException:
            self._file.close()
            raise

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
            StoppedError: the attempt lost the job.
            StoreUnavailableError: they are shared, and the S3 does not answer.
        """
        with clear_file_errors("the results of a detection job"):
            self._file.flush()
            os.fdatasync(self._file.fileno())
            size = self._file.tell()
        checkpoint = {"origin": self._origin, "bytes": size, "counts": asdict(counts)}
        data = json.dumps(checkpoint).encode()
        write_durably(self._folder / CHECKPOINT, data, staging=self._folder)
        if self._shared and self._shared.add(self.chunks(self._shared_bytes), counts):
            self._shared_bytes = size

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Yield the file in chunks, from a position on."""
        self._file.seek(start)
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

    def _restore(self, shared: SharedLines) -> int:
        """Begin with the shared lines, if there are any; return their bytes."""
        with clear_file_errors("the results of a detection job"):
            last = shared.restore(self._origin, self._file.write)
            if last is None:
                self._file.seek(0)
                self._file.truncate()
                return 0
            self._file.flush()
        self.counts = replace(
            self.counts, normal=last.normal, anomaly=last.anomaly, failed=last.failed
        )
        return self._file.tell()


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
