"""Copies of shared files on the disk of one server.

Nothing depends on a copy: it is checked by its digest whenever it is used, and can be removed at
any time. The least recently used ones go first when there are too many.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from blemish.storage.files import remove_tree, write_durably

IN_USE_S = 600.0
"""A file that was used since then stays, since a process may be about to open it."""

ROOM_SHARE = 0.9
"""How much of the limit is left after a removal."""


class FileCache:
    """The copies below one folder."""

    def __init__(
        self,
        root: Path,
        *,
        staging: Path,
        max_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._root = root
        self._staging = staging
        self._max_bytes = max_bytes
        #: of the files' times
        self._clock = clock
        self._lock = threading.Lock()
        #: of all files; None until they were counted
        self._size_bytes: int | None = None

    def path(self, key: str) -> Path:
        """Return the path of the copy of a file, or of a folder of them."""
        return self._root / key

    def intact(self, key: str, *, sha256: str) -> Path | None:
        """Return the path of a copy that has this digest; None if there is none."""
        path = self.path(key)
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != sha256:
                return None
            self._mark_used(path)
        except OSError:
            return None
        return path

    def read(self, key: str) -> bytes | None:
        """Return the content of a small copy, unchecked; None if there is none."""
        try:
            return self.path(key).read_bytes()
        except OSError:
            return None

    def write(self, key: str, data: bytes | Iterable[bytes]) -> Path:
        """Write or replace a copy, and remove others if there are too many.

        Raises:
            StoreWriteError: it cannot be written, `StoreFullError` if the disk is full.
        """
        path = self.path(key)
        write_durably(path, data, staging=self._staging)
        self._mark_used(path)
        self._make_room(path.stat().st_size)
        return path

    def remove(self, key: str) -> None:
        """Remove a copy or a folder of copies, if it exists.

        Raises:
            StoreWriteError: it cannot be removed.
        """
        remove_tree(self.path(key), staging=self._staging)

    def remove_unused(self, key: str) -> bool:
        """Remove a folder of copies unless one was used of late; return whether it was removed.

        Raises:
            StoreWriteError: it cannot be removed.
        """
        with self._lock:  # so that none is used between the look and the removal
            files = self._files(self.path(key))
            if any(used_at > self._clock() - IN_USE_S for used_at, _, _ in files):
                return False
            self.remove(key)
            if self._size_bytes is not None:
                self._size_bytes -= sum(size for _, size, _ in files)
        return True

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder of the cache."""
        path = self.path(folder)
        return sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []

    def _mark_used(self, path: Path) -> None:
        with self._lock:
            now = self._clock()
            os.utime(path, (now, now))

    def _make_room(self, added_bytes: int) -> None:
        with self._lock:
            if self._size_bytes is None:
                self._size_bytes = sum(size for _, size, _ in self._files(self._root))
            else:
                self._size_bytes += added_bytes
            if self._size_bytes > self._max_bytes:
                self._size_bytes = self._shrink(int(self._max_bytes * ROOM_SHARE))

    def _shrink(self, size_bytes: int) -> int:
        """Remove the least recently used files down to a size; return the size that is left."""
        files = sorted(self._files(self._root))
        left_bytes = sum(size for _, size, _ in files)
        for used_at, size, path in files:
            if left_bytes <= size_bytes or used_at > self._clock() - IN_USE_S:
                break
            with suppress(OSError):
                path.unlink()
                left_bytes -= size
            with suppress(OSError):  # other files are in it
                path.parent.rmdir()
        return left_bytes

    @staticmethod
    def _files(folder: Path) -> list[tuple[float, int, Path]]:
        """Return when each file was used, with its size."""
        files = []
        for top, _, names in os.walk(folder):
            for name in names:
                path = Path(top, name)
                with suppress(OSError):
                    status = path.stat()
                    files.append((status.st_mtime, status.st_size, path))
        return files
