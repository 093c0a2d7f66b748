"""Folders of files in an S3 that several servers share.

PREFIX/KIND/NAME/FILE
PREFIX/KIND/NAME/folder.json   digest and size of every file, written last

A folder is written once, as a whole: without folder.json it does not exist. Its name is never used
again, so a copy on a disk is never too old.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.entities import ObjectRef
from blemish.storage.errors import (
    ObjectError,
    ObjectMissingError,
    ObjectReadError,
    ObjectTooLargeError,
    StoreWriteError,
)
from blemish.storage.files import remove_tree, write_durably
from blemish.storage.shared.file_cache import FileCache

if TYPE_CHECKING:
    from blemish.storage.objects.s3_store import S3ObjectStore
    from blemish.storage.objects.store import ObjectStore

logger: FilteringBoundLogger = structlog.get_logger(__name__)

INFO = "folder.json"
MARKS = "unnamed"
"""Empty objects below it stand for folders that no row names: see `unnamed`."""

MAX_INFO_BYTES = 1024 * 1024
CHUNK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class SharedFile:
    """What folder.json says of a file."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class SharedLocation:
    """Where the files of one database are."""

    store: S3ObjectStore | ObjectStore
    bucket: str
    #: ends in a slash
    prefix: str
    cache: FileCache
    staging: Path

    def ref(self, key: str) -> ObjectRef:
        """Return the object with a key below the prefix."""
        return ObjectRef(bucket=self.bucket, key=f"{self.prefix}{key}")


class SharedFolders:
    """The shared folders of one kind."""

    def __init__(self, location: SharedLocation, kind: str) -> None:
        self._at = location
        self._cache = location.cache
        self.kind = kind

    def describe(self, name: str) -> str:
        """Return where a folder is, for messages."""
        return str(self._at.ref(f"{self.kind}/{name}"))

    def files(self, name: str) -> dict[str, SharedFile]:
        """Return the files of a folder; none if the folder does not exist.

        Raises:
            StoreUnavailableError: it has no copy on the disk, and the store does not answer.
            ObjectReadError: it cannot be read.
        """
        key = self._key(name, INFO)
        copy = self._cache.read(key)
        if copy is not None:
            with suppress(ValueError, TypeError):  # damaged: it is read again
                return _parsed(copy)
        try:
            data = self._at.store.read(self._at.ref(key), max_bytes=MAX_INFO_BYTES)
        except ObjectMissingError:
            return {}
        try:
            files = _parsed(data)
        except (ValueError, TypeError) as error:
            raise ObjectReadError(f"{self._at.ref(key)} is damaged: {error}.") from error
        with suppress(StoreWriteError):  # it is read again the next time
            self._cache.write(key, data)
        return files

    def has(self, name: str, file: str) -> bool:
        """Return whether a folder has a file; errors as `files`."""
        return file in self.files(name)

    def size_bytes(self, name: str) -> int:
        """Return the size of the files of a folder; errors as `files`."""
        return sum(info.size_bytes for info in self.files(name).values())

    def path(self, name: str, file: str) -> Path:
        """Return the path of an intact copy of a file, which is fetched if it is missing.

        Raises:
            ObjectMissingError: there is no such folder or file.
            ObjectReadError: it is damaged in the store, or cannot be read.
            StoreUnavailableError: it has no copy, and the store does not answer.
            StoreWriteError: the copy cannot be written.
        """
        for _ in range(2):
            files = self.files(name)
            if file not in files:
                raise ObjectMissingError(f"There is no {self._ref(name, file)}.")
            path = self._intact_copy(name, file, files[file])
            if path is not None:
                return path
            self._cache.remove(self._key(name))  # perhaps it was folder.json that was damaged
        raise ObjectReadError(
            f"{self._ref(name, file)} is damaged: its SHA-256 is not the one in {INFO}."
        )

    def publish(self, folder: Path, name: str) -> None:
        """Store the files of a folder under a new name; the folder itself stays as it is.

        Raises:
            StoreUnavailableError: the store does not answer.
            StoreWriteError: the store denies to write.
        """
        files = {path.name: self._upload(path, name) for path in sorted(folder.iterdir())}
        text = json.dumps({file: asdict(info) for file, info in files.items()}, indent=2)
        self._at.store.write(self._ref(name, INFO), f"{text}\n".encode())
        with suppress(StoreWriteError):  # copies are fetched when they are needed
            for path in folder.iterdir():
                self._cache.write(self._key(name, path.name), _chunks(path))

    def write(self, name: str, file: str, data: bytes | Iterable[bytes]) -> None:
        """Store a folder of one file; errors as `publish`."""
        aside = self._at.staging / uuid4().hex
        try:
            write_durably(aside / file, data, staging=self._at.staging)
            self.publish(aside, name)
        finally:
            remove_tree(aside, staging=self._at.staging)

    def remove(self, name: str) -> None:
        """Remove a folder, if it exists.

        Raises:
            StoreUnavailableError: the store does not answer.
            StoreWriteError: the store denies to delete.
        """
        self._at.store.delete(self._ref(name, INFO))
        prefix = self._at.ref(self._key(name, "")).key
        for info in list(self._at.store.list(self._at.bucket, prefix)):
            self._at.store.delete(ObjectRef(bucket=self._at.bucket, key=info.key))
        self._cache.remove(self._key(name))

    def discard(self, name: str) -> None:
        """Remove a folder that nothing needs; if that fails, housekeeping removes it later."""
        try:
            self.remove(name)
        except ObjectError as error:
            logger.warning("a shared folder is removed later", name=name, reason=str(error))

    def names(self) -> dict[str, datetime]:
        """Return the names of the folders, complete or not, and when each was changed.

        Raises:
            StoreUnavailableError: the store does not answer.
            ObjectReadError: it denies to list.
        """
        prefix = self._at.ref(f"{self.kind}/").key
        changed_at: dict[str, datetime] = {}
        for info in self._at.store.list(self._at.bucket, prefix):
            name = info.key.removeprefix(prefix).partition("/")[0]
            changed_at[name] = max(info.modified_at, changed_at.get(name, info.modified_at))
        return changed_at

    def marks(self) -> dict[str, datetime]:
        """Return the marked names, and when each was marked; errors as `names`."""
        prefix = self._at.ref(f"{MARKS}/{self.kind}/").key
        marks = self._at.store.list(self._at.bucket, prefix)
        return {mark.key.removeprefix(prefix): mark.modified_at for mark in marks}

    def mark(self, name: str) -> None:
        """Mark a name; errors as `publish`."""
        self._at.store.write(self._at.ref(f"{MARKS}/{self.kind}/{name}"), b"")

    def unmark(self, name: str) -> None:
        """Remove the mark of a name, if it has one; errors as `remove`."""
        self._at.store.delete(self._at.ref(f"{MARKS}/{self.kind}/{name}"))

    def forget_copies(self, needed: Collection[str]) -> None:
        """Remove the copies of folders that are not needed, and were not used of late.

        A folder is fetched or published before a row names it.
        """
        for name in set(self._cache.names(self.kind)).difference(needed):
            with suppress(StoreWriteError):
                self._cache.remove_unused(self._key(name))

    def _intact_copy(self, name: str, file: str, info: SharedFile) -> Path | None:
        """Return the path of a copy, fetched if there is none; None if it is damaged."""
        key, cache = self._key(name, file), self._cache
        path = cache.intact(key, sha256=info.sha256)
        if path is not None:
            return path
        try:
            cache.write(key, self._at.store.chunks(self._at.ref(key), max_bytes=info.size_bytes))
        except ObjectTooLargeError:
            return None
        return cache.intact(key, sha256=info.sha256)

    def _upload(self, path: Path, name: str) -> SharedFile:
        digest, size_bytes = hashlib.sha256(), path.stat().st_size
        chunks = _hashed(_chunks(path), digest)
        data = b"".join(chunks) if size_bytes <= CHUNK_BYTES else chunks  # by one request
        self._at.store.write(self._ref(name, path.name), data)
        return SharedFile(sha256=digest.hexdigest(), size_bytes=size_bytes)

    def _key(self, name: str, file: str | None = None) -> str:
        return f"{self.kind}/{name}" if file is None else f"{self.kind}/{name}/{file}"

    def _ref(self, name: str, file: str) -> ObjectRef:
        return self._at.ref(self._key(name, file))


def _parsed(data: bytes) -> dict[str, SharedFile]:
    """Return the content of folder.json.

    Raises:
        ValueError, TypeError: it is none.
    """
    document = json.loads(data)
    if not isinstance(document, dict):
        raise TypeError("it is no JSON object")
    return {name: SharedFile(**info) for name, info in document.items()}


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(partial(file.read, CHUNK_BYTES), b"")


def _hashed(chunks: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
