"""The folders of lines in a backup: settings and records, and images where objects are included.

A line may run meanwhile. Its images are copied first and its records last, as rows are: a record
comes after its image. Images that a line forgets meanwhile have no record in the copy, and a line
removes images without a record when it starts.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from blemish.storage.backup.archive import ArchiveWriter
from blemish.storage.errors import BackupError
from blemish.storage.files import clear_file_errors, make_own_file, size_of_file

FOLDER = "lines"
IMAGES = "images"
DATABASE = "station.db"
SETTINGS = ("line.toml", "stopped")

BUSY_S = 60


class LineFolders:
    """The folders of all lines of a data directory."""

    def __init__(self, root: Path, *, with_images: bool) -> None:
        self._root = root
        self._with_images = with_images

    def size_bytes(self) -> int:
        """Return the approximate size of what goes into the backup."""
        paths = [path for folder in self._folders() for path in self._files(folder)]
        paths += [folder / DATABASE for folder in self._folders()]
        return sum(map(size_of_file, paths))

    def add_to(self, writer: ArchiveWriter, *, scratch: Path) -> None:
        """Add the folders to an archive.

        Args:
            writer: of the archive.
            scratch: path of a temporary file; one of a crash is replaced.

        Raises:
            BackupError: a file cannot be read.
            StoreWriteError: the temporary file cannot be written.
        """
        for folder in self._folders():
            done: set[Path] = set()
            self._add(writer, folder, done)
            if not (folder / DATABASE).is_file():
                continue
            try:
                _copy(folder / DATABASE, scratch)
                self._add(writer, folder, done)  # images of records since the first look
                writer.add(f"{FOLDER}/{folder.name}/{DATABASE}", scratch)
            finally:
                scratch.unlink(missing_ok=True)

    def _add(self, writer: ArchiveWriter, folder: Path, done: set[Path]) -> None:
        for path in self._files(folder):
            if path not in done and writer.add(str(path.relative_to(self._root.parent)), path):
                done.add(path)  # one that is removed now is left out

    def _folders(self) -> list[Path]:
        if not self._root.is_dir():
            return []
        return sorted(path for path in self._root.iterdir() if (path / SETTINGS[0]).is_file())

    def _files(self, folder: Path) -> Iterator[Path]:
        yield from (folder / name for name in SETTINGS if (folder / name).is_file())
        if self._with_images:
            with (
                suppress(FileNotFoundError, NotADirectoryError),
                os.scandir(folder / IMAGES) as entries,
            ):
                # a file that is being written has a name with a dot first
                yield from (Path(entry) for entry in entries if not entry.name.startswith("."))


def _copy(database: Path, target: Path) -> None:
    """Copy the records while others write them (mode 0600).

    Raises:
        BackupError: they cannot be read.
        StoreWriteError: the copy cannot be written.
    """
    with clear_file_errors(target):
        make_own_file(target)
    try:
        with (
            closing(sqlite3.connect(database, timeout=BUSY_S)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.execute("PRAGMA query_only = ON")
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise BackupError(f"{database} cannot be read ({error}).") from error
