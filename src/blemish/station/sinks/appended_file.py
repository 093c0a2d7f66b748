"""A text file that grows by whole lines, and is whole after a kill or on a full disk."""

from __future__ import annotations

import os
from pathlib import Path

from blemish.edge.durable_files import sync_names

BLOCK_BYTES = 64 * 1024


class AppendedFile:
    """Appends lines; each is on the disk when `append` returns."""

    def __init__(self, path: Path, *, header: bytes = b"") -> None:
        """Take the path, and what the file begins with."""
        self.path = path
        self._header = header
        self._descriptor: int | None = None

    def append(self, line: bytes) -> None:
        """Append a line with its end.

        Raises:
            OSError: it is not written, and the file is as it was.
        """
        descriptor = self._open()
        size = os.fstat(descriptor).st_size
        data = line if size else self._header + line
        try:
            _write_whole(descriptor, data)
            os.fsync(descriptor)
            if not size:
                sync_names(self.path.parent)
        except OSError:
            os.ftruncate(descriptor, size)
            self.close()
            raise

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> int:
        """Return the open file; open it if it is closed, or the path names another file now."""
        if self._descriptor is not None and not _is_at(self._descriptor, self.path):
            self.close()
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o644)
            _cut_torn_line(self._descriptor)
        return self._descriptor


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _cut_torn_line(descriptor: int) -> None:
    """Remove what stands behind the last end of a line: a kill tore it."""
    end = size = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - BLOCK_BYTES)
        position = os.pread(descriptor, end - start, start).rfind(b"\n")
        if position >= 0:
            end = start + position + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)


def _write_whole(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
