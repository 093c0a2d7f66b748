"""The disk of a data directory: its low-water mark, and a reserve for deletions.

DIR/reserve takes up room that nothing else can use. It is given back before a deletion if the disk
is nearly full, since a deletion has to write rows before it frees anything.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.storage.data_directory import DataDirectory

logger: FilteringBoundLogger = structlog.get_logger(__name__)

LEAST_RESERVE_BYTES = 256 * 1024
MOST_RESERVE_BYTES = 64 * 1024 * 1024
RESERVE_SHARE = 1 / 64
PROBE_BYTES = 64 * 1024
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it


class Disk:
    """Measures the free room of a data directory, and has a reserve for deletions."""

    def __init__(self, directory: DataDirectory) -> None:
        self._root = directory.root
        self._path = directory.reserve
        self._probe = directory.staging / "write-probe"

    @property
    def reserve_bytes(self) -> int:
        """Size of the reserve, and the low-water mark of free room beside it."""
        status = os.statvfs(self._root)
        share = int(status.f_blocks * status.f_frsize * RESERVE_SHARE)
        return max(LEAST_RESERVE_BYTES, min(share, MOST_RESERVE_BYTES))

    @property
    def free_bytes(self) -> int:
        """Free room beside the reserve."""
        status = os.statvfs(self._root)
        return status.f_bavail * status.f_frsize

    @property
    def is_low(self) -> bool:
        """Whether there is too little room for anything but deletions."""
        return self.free_bytes < self.reserve_bytes

    def take_reserve(self, _now: datetime | None = None) -> None:
        """Take the reserve if there is none, and enough room for it."""
        size = self.reserve_bytes
        if self._path.exists() or self.free_bytes < 2 * size:
            return
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(file, 0, size)
        except OSError:
            self._path.unlink()
            raise
        finally:
            os.close(file)

    def make_room(self) -> None:
        """Give the reserve back if the disk is nearly full."""
        if not self.is_low:
            return
        with suppress(OSError):
            self._path.unlink()
            logger.warning("the disk is nearly full: the reserve is used", path=str(self._root))

    def write_problem(self) -> str | None:
        """Return why nothing can be written, or None."""
        try:
            file = os.open(
                self._probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o600
            )
            try:
                if os.write(file, bytes(PROBE_BYTES)) < PROBE_BYTES:
                    return f"{self._root} has no room"
            finally:
                os.close(file)
                self._probe.unlink()
        except OSError as error:
            return f"{self._root} cannot be written ({error.strerror})"
        return None


@contextmanager
def copy_in_memory(database: Path) -> Iterator[Path]:
    """Copy a database with its log to a folder in memory, where it can be opened and written.

    The database must not be in use. A folder for temporary files is used if there is no memory.

    Raises:
        OSError: there is no room for it anywhere.
    """
    folder = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="blemish-", dir=folder) as name:
        for ending in ("", "-wal"):
            source = database.with_name(f"{database.name}{ending}")
            if source.exists():
                shutil.copyfile(source, Path(name, source.name))
        yield Path(name, database.name)
