"""Objects in folders: `s3://bucket/key` is the file `bucket/key` below one folder.

A user creates a bucket by creating its folder, and puts objects there by any means. No symbolic
link is followed.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blemish.domain.entities import ObjectRef
from blemish.storage.errors import (
    BucketMissingError,
    KeyNotAllowedError,
    ObjectMissingError,
    ObjectReadError,
    ObjectTooLargeError,
    VersionMissingError,
)
from blemish.storage.files import clear_staging
from blemish.storage.objects.paths import ObjectPaths, clear_errors, is_object, lstat
from blemish.storage.objects.streams import STAGING, ObjectStreams, OpenObject

ONLY_VERSION = "null"
"""S3's version id of objects in a bucket without versioning."""

MAX_LINE_LENGTH = 1024 * 1024
"""Longest line of a text in characters, which bounds the memory."""

FEW_OBJECTS = 16
"""Up to this many objects of a folder are checked one by one; for more, the folder is listed."""


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    """An object, as a listing shows it."""

    key: str
    size_bytes: int
    modified_at: datetime


class ObjectStore:
    """The objects below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = ObjectPaths(root)
        self._streams = ObjectStreams(self.paths)

    @property
    def connection(self) -> Mapping[str, Any]:
        """See `service.objects.Objects`."""
        return {"folder": str(self.root)}

    def clear_staging(self) -> None:
        """Remove what a crash left behind. Call it while nothing is being written."""
        clear_staging(self.root / STAGING)

    def has_bucket(self, bucket: str) -> bool:
        """Return whether a bucket exists."""
        return self.paths.has_bucket(bucket)

    def problem(self) -> str | None:
        """Return why no bucket can be used; None if the folder can be listed."""
        try:
            with os.scandir(self.root) as entries:
                next(entries, None)
        except OSError as error:
            return f"The folder of the buckets cannot be used: {error}."
        return None

    def check_key(self, bucket: str, key: str) -> None:
        """Check that a key is allowed in a bucket.

        Raises:
            BucketMissingError: the bucket does not exist.
            KeyNotAllowedError: the key is not a valid file name.
        """
        self.paths.look(ObjectRef(bucket=bucket, key=key))

    def size(self, ref: ObjectRef) -> int:
        """Return the size of an object, in bytes.

        Raises:
            BucketMissingError: the bucket does not exist.
            ObjectMissingError: the object does not exist.
            KeyNotAllowedError: the key is not allowed.
        """
        status = self.paths.look(ref)
        if status is None:
            raise ObjectMissingError(f"There is no object {ref}.")
        return status.st_size

    def read(self, ref: ObjectRef, *, max_bytes: int) -> bytes:
        """Read an object.

        Raises:
            ObjectTooLargeError: it is longer than `max_bytes`.
            ObjectReadError: it cannot be read.
            ObjectError: what `size` raises.
        """
        return b"".join(self.chunks(ref, max_bytes=max_bytes))

    def chunks(self, ref: ObjectRef, *, max_bytes: int) -> Iterator[bytes]:
        """Yield the content of an object in parts; errors as `read`."""
        return self._open(ref, max_bytes=max_bytes).content()

    def read_lines(
        self, ref: ObjectRef, *, max_bytes: int, version: str | None = None
    ) -> Iterator[str]:
        """Yield the lines of a UTF-8 text, without their line feeds, in bounded memory.

        Raises:
            VersionMissingError: `version` is not the only version of the object.
            ObjectTooLargeError: it is longer than `max_bytes`.
            ObjectReadError: it is not UTF-8, or cannot be read.
            ObjectError: what `size` raises.
        """
        self.size(ref)
        if version not in {None, ONLY_VERSION}:
            why = f": an object in a folder has one version, '{ONLY_VERSION}'"
            raise VersionMissingError(ref, version, why=why)
        with closing(self._open(ref, max_bytes=max_bytes)) as opened, clear_errors(ref):
            yield from text_lines(opened.content(), name=str(ref))

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """Stream the objects whose keys begin with `prefix`, in no promised order.

        Raises:
            BucketMissingError: the bucket does not exist.
            ObjectReadError: a folder cannot be read.
        """
        self.paths.check_bucket(bucket)
        folders = [prefix.rpartition("/")[0]]
        while folders:
            folder = folders.pop()
            for entry in self.paths.scan(bucket, folder):
                key = f"{folder}/{entry.name}" if folder else entry.name
                if not key.startswith(prefix):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(key)
                elif is_object(entry, key) and (status := lstat(entry.path)):
                    modified_at = datetime.fromtimestamp(status.st_mtime, UTC)
                    yield ObjectInfo(key=key, size_bytes=status.st_size, modified_at=modified_at)

    def existing(self, refs: Iterable[ObjectRef]) -> set[ObjectRef]:
        """Return those of `refs` that exist.

        A folder with many of the objects is listed once; other folders are not listed.

        Raises:
            ObjectReadError: a folder cannot be read.
        """
        folders: dict[tuple[str, str], dict[str, ObjectRef]] = {}
        for ref in refs:
            folder, _, name = ref.key.rpartition("/")
            folders.setdefault((ref.bucket, folder), {})[name] = ref
        there: set[ObjectRef] = set()
        for (bucket, folder), wanted in folders.items():
            if len(wanted) <= FEW_OBJECTS:
                there.update(filter(self._exists, wanted.values()))
            elif self.has_bucket(bucket):
                there.update(
                    wanted[entry.name]
                    for entry in self.paths.scan(bucket, folder)
                    if entry.name in wanted and is_object(entry, wanted[entry.name].key)
                )
        return there

    def _exists(self, ref: ObjectRef) -> bool:
        try:
            return self.paths.look(ref) is not None
        except (BucketMissingError, KeyNotAllowedError, ObjectMissingError):
            return False

    def write(self, ref: ObjectRef, data: bytes | Iterable[bytes]) -> None:
        """Write an object atomically and durably.

        Raises:
            BucketMissingError: the bucket does not exist.
            KeyNotAllowedError: the key is not allowed.
            StoreWriteError: it cannot be written, `StoreFullError` if the disk is full.
        """
        with self._streams.staged(ref, data) as staged_object, self.paths.names:
            self._streams.publish(staged_object, ref)

    def version(self, ref: ObjectRef) -> str | None:
        """Return a text that changes with the content of an object; None if it does not exist.

        Raises:
            ObjectError: what `check_key` raises.
        """
        version = self._streams.version(ref)
        return f"{version.size_bytes}-{version.modified_ns}" if version else None

    def replace(
        self, ref: ObjectRef, data: bytes | Iterable[bytes], *, version: str | None
    ) -> bool:
        """Write an object, unless it has another version by then; return whether it is written.

        Raises:
            ObjectError: what `write` raises.
        """
        with self._streams.staged(ref, data) as staged_object, self.paths.names:
            if self.version(ref) != version:
                return False
            self._streams.publish(staged_object, ref)
        return True

    def delete(self, ref: ObjectRef) -> None:
        """Delete an object, if it exists, and folders that become empty.

        Raises:
            BucketMissingError: the bucket does not exist.
            KeyNotAllowedError: the key is not allowed.
            StoreWriteError: it cannot be deleted.
        """
        with self.paths.names:
            self._streams.delete(ref)

    def _open(self, ref: ObjectRef, *, max_bytes: int) -> OpenObject:
        opened = self._streams.open(ref)
        size = opened.version.size_bytes
        if size > max_bytes:
            opened.close()
            raise ObjectTooLargeError(ref, size, max_bytes=max_bytes)
        return opened


def text_lines(chunks: Iterable[bytes], *, name: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 text that comes in chunks, without their line feeds.

    Raises:
        ObjectReadError: a line is too long.
        UnicodeDecodeError: it is not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from lines
        if len(rest) > MAX_LINE_LENGTH:
            raise ObjectReadError(f"{name} has a line of more than {MAX_LINE_LENGTH} characters.")
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest
