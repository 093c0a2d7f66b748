"""Backing up a data directory, while its server runs or not.

Files are copied first and rows last. A file exists before its row, never changes, and its name is
never reused. So a copy of the rows is consistent once the archive has all files that it names,
whatever the server did in the meantime. The first start after a restore deletes files without a
row.

A backup leaves out `aws/`, which holds a plain secret; the keyring, which opens all sealed data;
and what running work has so far: its temporary files, and the segments of batches, which come
faster than a large backup is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from blemish.storage.backup.archive import ArchiveWriter
from blemish.storage.backup.line_folders import LineFolders
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import DatabaseAddress
from blemish.storage.database.database import Database
from blemish.storage.errors import BackupError, BucketMissingError, ObjectMissingError
from blemish.storage.files import new_file, size_of_file
from blemish.storage.objects.buckets import Buckets
from blemish.storage.objects.store import ObjectInfo, ObjectStore
from blemish.storage.rows.all_rows import Rows
from blemish.storage.shared.folders import SharedFolders

FOLDERS_OF_STORED_FILES = ("bundles", "kept")
"""Folders of the files that rows name."""

ROUNDS = 20
"""Most copies of the rows; each after the second means that a model was added."""


@dataclass(frozen=True, kw_only=True)
class _StoredFile:
    """A file that goes into the archive."""

    #: in the archive
    name: str
    size_bytes: int
    #: returns the path of its content
    path: Callable[[], Path]


class Backup:
    """Writes a data directory into an archive."""

    def __init__(
        self,
        directory: DataDirectory,
        *,
        with_objects: bool,
        database: DatabaseAddress | None = None,
        shared: Iterable[SharedFolders] = (),
    ) -> None:
        self._directory = directory
        #: kind -> the folders in an S3 that several servers share
        self._shared = {folders.kind: folders for folders in shared}
        self._address = database or directory.database
        self._with_objects = with_objects
        self._objects = ObjectStore(directory.buckets)
        self._lines = LineFolders(directory.lines, with_images=with_objects)

    def size_bytes(self) -> int:
        """Return the approximate size of the backup.

        Raises:
            DatabaseError: the data directory has no database of this version.
            ObjectError: shared files cannot be read.
        """
        with closing(Database.open_current(self._address)) as database:
            names, of_rows = self._names(database), database.size_bytes()
        sizes = [file.size_bytes for file in self._files_of(names)]
        sizes += [of_rows, self._lines.size_bytes()]
        if self._with_objects:
            sizes += [
                stored_object.size_bytes
                for name in self._buckets()
                for stored_object in self._list(name)
            ]
        return sum(sizes)

    def write(
        self, to: Path, *, version: str, now: datetime, progress: Callable[[int], None]
    ) -> None:
        """Write the archive atomically.

        Args:
            to: a file that does not exist.
            version: version of Blemish.
            now: time of the backup.
            progress: called with the number of bytes written.

        Raises:
            DatabaseError: there is no database of this version, or it cannot be read.
            BackupError: a file cannot be read, or rows change all the time.
            ObjectError: shared files cannot be read.
            StoreWriteError: the archive cannot be written, `StoreFullError` if the disk is full.
        """
        with (
            new_file(to) as file,
            _scratch(to, "rows") as rows,
            _scratch(to, "lines") as lines,
            ArchiveWriter.into(file, progress=progress) as writer,
        ):
            writer.begin(version=version, now=now)
            self._add_named(writer, rows)
            self._forget_what_is_left_out(rows)
            writer.add("blemish.db", rows)
            self._lines.add_to(writer, scratch=lines)
            if self._with_objects:
                self._add_objects(writer)

    def _add_named(self, writer: ArchiveWriter, copy: Path) -> None:
        """Add all files that rows name, and copy the rows into `copy`."""
        done: set[str] = set()
        with closing(Database.open_current(self._address)) as database:
            names = self._names(database)
            for _ in range(ROUNDS):
                files = {file.name: file for file in self._files_of(names)}
                for name in sorted(files.keys() - done):
                    with suppress(ObjectMissingError):  # it is deleted now
                        writer.add(name, files[name].path())
                        done.add(name)
                database.copy_to(copy)
                with closing(Database.open_current(copy)) as rows:
                    names = self._names(rows)
                if done.issuperset(file.name for file in self._files_of(names)):
                    return
        raise BackupError(
            f"Models are made in {self._directory.root} faster than they can be backed up."
        )

    def _forget_what_is_left_out(self, copy: Path) -> None:
        with closing(Database.open_current(copy)) as database, database.writing() as rows:
            rows.detection_segments.delete_all()
            if not self._with_objects:
                rows.uploads.delete_all()

    def _add_objects(self, writer: ArchiveWriter) -> None:
        for bucket in self._buckets():
            writer.add_folder(f"buckets/{bucket}")
            for stored_object in self._list(bucket):
                name = f"buckets/{bucket}/{stored_object.key}"
                writer.add(name, self._directory.root / name)

    def _names(self, database: Database) -> set[str]:
        with database.reading() as rows:
            names = {
                f"{folder}/{name}"
                for name in rows.names_without_segments()
                for folder in FOLDERS_OF_STORED_FILES
            }
            return names | (self._uploaded(rows) if self._with_objects else set())

    def _uploaded(self, rows: Rows) -> set[str]:
        return {f"uploads/{name}" for name in rows.uploads.file_names()}

    def _files_of(self, names: Iterable[str]) -> Iterator[_StoredFile]:
        """Yield the existing files with these names, or in folders with these names."""
        for name in names:
            path = self._directory.root / name
            if path.is_dir():  # files that are deleted now are skipped
                for top, _, files in os.walk(path):
                    yield from map(self._local_file, (Path(top, file) for file in files))
            elif path.is_file():
                yield self._local_file(path)
            else:
                yield from self._shared_files(name)

    def _local_file(self, path: Path) -> _StoredFile:
        return _StoredFile(
            name=str(path.relative_to(self._directory.root)),
            size_bytes=size_of_file(path),
            path=lambda: path,
        )

    def _shared_files(self, name: str) -> Iterator[_StoredFile]:
        kind, _, folder = name.partition("/")
        if kind not in self._shared:
            return
        folders = self._shared[kind]
        for file, info in folders.files(folder).items():
            yield _StoredFile(
                # a stored file is a folder of one file, and a file in a data directory
                name=name if file == folder else f"{name}/{file}",
                size_bytes=info.size_bytes,
                path=partial(folders.path, folder, file),
            )

    def _buckets(self) -> list[str]:
        return [bucket.name for bucket in Buckets(self._objects.paths).all()]

    def _list(self, bucket: str) -> Iterator[ObjectInfo]:
        try:
            yield from self._objects.list(bucket)
        except BucketMissingError:
            return  # it was deleted


@contextmanager
def _scratch(to: Path, what: str) -> Iterator[Path]:
    """Return a temporary path beside the archive for a copy of a database."""
    path = to.with_name(f"{to.name}.{what}.partial")
    try:
        yield path
    finally:
        for ending in ("", "-wal", "-shm"):
            path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)
