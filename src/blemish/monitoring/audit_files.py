"""The files of the audit log: one or more for each day, compressed when complete.

DIR/audit/
  2026-03-01.0001.jsonl.gz   complete
  2026-03-02.0001.jsonl      being written
  2026-03-02.commands.jsonl  of commands, which write it themselves beside a server

A line that a power cut truncated is removed before the next one is written.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import os
import re
import shutil
import stat
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

from blemish.service.data_ages import Cutoff, plain_cutoff
from blemish.storage.files import keep_owner, sync_folder

FILE_BYTES = 64 * 1024 * 1024
LINE_BYTES = 1024 * 1024
"""A size in bytes that no line exceeds."""

NAME = re.compile(r"(\d{4}-\d{2}-\d{2})\.(\d{4,}|commands)\.jsonl(\.gz)?")
"""Names of the files."""

_COMMANDS = "commands"


class AuditFiles:
    """Writes lines for one thread, and bounds the number and age of the files."""

    def __init__(
        self,
        folder: Path,
        *,
        now: Callable[[], datetime],
        max_age: timedelta,
        max_bytes: int,
        cutoff: Cutoff = plain_cutoff,
    ) -> None:
        self._folder = folder
        self._now = now
        self._max_age = max_age
        self._cutoff = cutoff
        self._max_bytes = max_bytes
        self._file_bytes = min(FILE_BYTES, max_bytes // 4)
        self._file: int | None = None
        self._path: Path | None = None
        self._size = 0
        self._unsynced = False
        #: whether a complete file waits to be compressed
        self.is_untidy = False

    def append(self, lines: bytes) -> None:
        """Append lines to the newest file, all or none.

        Raises:
            OSError: the lines cannot be written.
        """
        file = self._opened(len(lines))
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(file, rest) :]
        except OSError:
            os.ftruncate(file, self._size)
            raise
        self._size += len(lines)
        self._unsynced = True

    def sync(self) -> None:
        """Sync the written lines.

        Raises:
            OSError: the sync failed.
        """
        if self._file is not None and self._unsynced:
            os.fsync(self._file)
            self._unsynced = False

    def close(self) -> None:
        """Sync and close the newest file."""
        if self._file is not None:
            try:
                self.sync()
            finally:
                os.close(self._file)
                self._file = self._path = None

    def tidy(self) -> None:
        """Compress complete files, and remove files that are too old or too large in total.

        Raises:
            OSError: a file cannot be written.
        """
        self.is_untidy = False  # a failure is tried again with the next file
        self._remove_old()
        today = self._now().date()
        for path in self._files():
            is_written = path == self._path or (is_of_commands(path) and day_of(path) >= today)
            if path.suffix == ".jsonl" and not is_written and _is_regular(path):
                _compress(path)
        self._remove_old()

    def _remove_old(self) -> None:
        oldest = self._cutoff(self._now(), self._max_age).date()
        left = sum(path.stat().st_size for path in self._files())
        for path in self._files():
            if path == self._path:
                continue
            if day_of(path) < oldest or left > self._max_bytes:
                left -= path.stat().st_size
                path.unlink()

    def _opened(self, more: int) -> int:
        """Return the file to append bytes to. Full files and files of other days are complete."""
        today = self._now().date()
        if self._file is not None and self._path is not None:
            if day_of(self._path) == today and self._size + more <= self._file_bytes:
                return self._file
            self.close()
            self.is_untidy = True
        self._path = self._next(today, more)
        self._file = _opened_to_append(self._path)
        self._size = os.fstat(self._file).st_size
        sync_folder(self._folder)
        return self._file

    def _next(self, today: date, more: int) -> Path:
        of_today = [
            path for path in self._files() if day_of(path) == today and not is_of_commands(path)
        ]
        if not of_today:
            return self._folder / f"{today}.0001.jsonl"
        last = of_today[-1]
        if last.suffix == ".jsonl" and _is_regular(last):
            _cut_torn_line(last)
            if last.stat().st_size + more <= self._file_bytes:
                return last
        return self._folder / f"{today}.{number_of(last) + 1:04}.jsonl"

    def _files(self) -> list[Path]:
        """Return the files, the oldest first."""
        files = [path for path in self._folder.iterdir() if NAME.fullmatch(path.name)]
        return sorted(files, key=lambda path: (day_of(path), number_of(path), path.suffix))


def day_of(path: Path) -> date:
    """Return the day of a file's records."""
    return date.fromisoformat(path.name[:10])


def number_of(path: Path) -> int:
    """Return the number of a file among those of its day, from 1; 0 for that of commands."""
    return 0 if is_of_commands(path) else int(path.name.split(".")[1])


def is_of_commands(path: Path) -> bool:
    """Return whether a file has the records of commands."""
    return path.name.split(".")[1] == _COMMANDS


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _opened_to_append(path: Path) -> int:
    """Open a regular file; a pipe or a device of its name makes nobody wait.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
    file = os.open(path, flags, 0o600)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, f"{path} is no regular file")
    return file


def append_command(folder: Path, line: bytes, *, today: date) -> None:
    """Append the line of a command to the file of the day, synced.

    The file belongs to the owner of the folder, even if root runs the command.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{today}.{_COMMANDS}.jsonl"
    file = _opened_to_append(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        keep_owner(file, folder)
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)
    sync_folder(folder)


def _cut_torn_line(path: Path) -> None:
    """Remove the bytes after the last line break."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, size - LINE_BYTES))
        whole = start + file.read().rfind(b"\n") + 1
        if whole < size:
            file.truncate(whole)


def _compress(path: Path) -> None:
    """Replace a file by its compressed form; a crash leaves one of them intact."""
    _cut_torn_line(path)
    part, compressed = path.with_suffix(".part"), path.with_suffix(".jsonl.gz")
    with path.open("rb") as plain, part.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6) as packed:
            shutil.copyfileobj(plain, packed)
        file.flush()
        os.fsync(file.fileno())
    part.replace(compressed)
    sync_folder(path.parent)
    path.unlink()
