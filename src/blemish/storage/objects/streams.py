"""Objects of any size: read by ranges and written in chunks, in bounded memory.

A reader has one open file, and a writer replaces files by a rename. So a reader sees the object as
it was when the reader opened it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from blemish.domain.entities import ObjectRef
from blemish.storage.errors import ObjectMissingError, ObjectReadError
from blemish.storage.files import publish, staged
from blemish.storage.objects.paths import ObjectPaths, clear_errors

STAGING = ".staging"
"""Where objects wait until they are whole; not a name that a bucket can have."""

CHUNK_BYTES = 512 * 1024
"""Most bytes that are read at once."""


@dataclass(frozen=True, kw_only=True)
class FileVersion:
    """The content of a file, identified by size and time of change."""

    size_bytes: int
    #: since the epoch, in nanoseconds
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileVersion:
        """Return the version that the status of a file shows."""
        return cls(size_bytes=status.st_size, modified_ns=status.st_mtime_ns)

    @property
    def modified_at(self) -> datetime:
        """The time of the last change, in whole seconds, as in HTTP."""
        return datetime.fromtimestamp(self.modified_ns // 10**9, UTC)


class OpenObject:
    """An object that is open for reading; close it, or iterate over its content to the end."""

    def __init__(self, ref: ObjectRef, path: Path) -> None:
        """Open the file at `path`, following no link.

        Raises:
            ObjectMissingError: the file does not exist.
            ObjectReadError: it cannot be read.
        """
        self._ref = ref
        with clear_errors(ref):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._file = open(path, "rb", buffering=0, opener=lambda p, _: os.open(p, flags))  # noqa: SIM115
            status = os.fstat(self._file.fileno())
        if not stat.S_ISREG(status.st_mode):
            self._file.close()
            raise ObjectMissingError(f"There is no object {ref}.")
        self.version = FileVersion.of(status)

    def content(self, start: int = 0, end: int | None = None) -> ObjectContent:
        """Return the bytes from `start` to before `end`, which close the object at their end."""
        return ObjectContent(self, start, self.version.size_bytes if end is None else end)

    def read_at(self, position: int, size: int) -> bytes:
        """Read at most so many bytes.

        Raises:
            ObjectReadError: it cannot be read, or was changed in place meanwhile.
        """
        with clear_errors(self._ref):
            chunk = os.pread(self._file.fileno(), size, position)
            now = FileVersion.of(os.fstat(self._file.fileno()))
        if now != self.version or not chunk:
            raise ObjectReadError(f"{self._ref} was changed while it was read.")
        return chunk

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ObjectContent(Iterator[bytes]):
    """Part of an object, chunk by chunk; the object is closed at its end, or by `close`."""

    def __init__(self, opened: OpenObject, start: int, end: int) -> None:
        self._opened = opened
        self._position = start
        self._end = end

    def __next__(self) -> bytes:
        """Read the next chunk.

        Raises:
            ObjectReadError: it cannot be read, or was changed in place meanwhile.
        """
        rest = self._end - self._position
        if rest <= 0:
            self.close()
            raise StopIteration
        chunk = self._opened.read_at(self._position, min(rest, CHUNK_BYTES))
        self._position += len(chunk)
        return chunk

    def close(self) -> None:
        """Close the object."""
        self._opened.close()


@dataclass(frozen=True, kw_only=True)
class StagedObject:
    """An object that is written and synced, but has no name yet."""

    file: Path
    version: FileVersion


class ObjectStreams:
    """Opens, writes and deletes the objects below one folder."""

    def __init__(self, paths: ObjectPaths) -> None:
        self.paths = paths

    def open(self, ref: ObjectRef) -> OpenObject:
        """Open an object for reading.

        Raises:
            BucketMissingError: the bucket does not exist.
            ObjectMissingError: the object does not exist.
            KeyNotAllowedError: the key is not allowed.
            ObjectReadError: it cannot be read.
        """
        if self.paths.look(ref) is None:
            raise ObjectMissingError(f"There is no object {ref}.")
        return OpenObject(ref, self.paths.file(ref))

    def version(self, ref: ObjectRef) -> FileVersion | None:
        """Return the version of an object; None if there is none.

        Raises:
            ObjectError: what `open` raises of other things.
        """
        status = self.paths.look(ref)
        return FileVersion.of(status) if status else None

    @contextmanager
    def staged(self, ref: ObjectRef, data: bytes | Iterable[bytes]) -> Iterator[StagedObject]:
        """Write an object aside; it is gone at the end of the context unless it was published.

        Raises:
            BucketMissingError: the bucket does not exist.
            KeyNotAllowedError: the key is not allowed.
            StoreWriteError: it cannot be written, `StoreFullError` if the disk is full.
        """
        self.paths.look(ref)
        with staged(data, staging=self.paths.root / STAGING, name=str(ref)) as file:
            yield StagedObject(file=file, version=FileVersion.of(file.stat()))

    def publish(self, staged_object: StagedObject, ref: ObjectRef) -> None:
        """Give an object its name, in place of one that is there; `paths.names` must be held.

        Raises:
            ObjectError: what `staged` raises.
        """
        self.paths.look(ref)
        publish(staged_object.file, self.paths.file(ref), name=str(ref))

    def delete(self, ref: ObjectRef) -> None:
        """Delete an object, if it exists, and folders that become empty; `paths.names` held.

        Raises:
            BucketMissingError: the bucket does not exist.
            KeyNotAllowedError: the key is not allowed.
            StoreWriteError: it cannot be deleted.
        """
        self.paths.delete(ref)
