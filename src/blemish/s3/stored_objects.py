"""Objects with what S3 says of them: files of the buckets, and rows of the database.

The row of a new content is written before its file gets its name, and names that content by size
and time. Whoever reads finds the old file with its row or the new one with its own; a crash in
between leaves a row that speaks of nothing, which the next change of the object removes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from blemish.domain.entities import ObjectRef
from blemish.s3.content_types import type_by_name
from blemish.s3.folder_markers import (
    EMPTY_ETAG,
    FolderMarker,
    FolderMarkers,
    is_folder_marker,
)
from blemish.storage.database.database import Database
from blemish.storage.errors import DatabaseWriteError, KeyTakenError, ObjectMissingError
from blemish.storage.objects.streams import FileVersion, ObjectStreams, OpenObject
from blemish.storage.rows.object_metadata import ObjectMetadata

CHUNK_BYTES = 1024 * 1024
"""Of a body that is written."""


class Readable(Protocol):
    """A body that comes in, checked at its end against what was announced."""

    #: once it has been read to its end: base64 by algorithm
    checksums: dict[str, str]

    def read(self, size: int, /) -> bytes: ...


class Updatable(Protocol):
    """A digest that is being computed."""

    def update(self, data: bytes, /) -> None: ...


def hashed_body(body: Readable | None, *digests: Updatable) -> Iterator[bytes]:
    """Yield a body to its end, and update digests with it."""
    while body is not None and (chunk := body.read(CHUNK_BYTES)):
        for digest in digests:
            digest.update(chunk)
        yield chunk


def hashed_content(content: Iterable[bytes], *digests: Updatable) -> Iterator[bytes]:
    """Yield stored content, and update digests with it."""
    for chunk in content:
        for digest in digests:
            digest.update(chunk)
        yield chunk


def derived_etag(key: str, version: FileVersion) -> str:
    """Return an ETag for a listing, where nobody has computed the real one.

    No object has it otherwise: what follows the hyphen is the number of parts.
    """
    text = f"{version.size_bytes} {version.modified_ns} {key}"
    return f"{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}-0"


class StoredObjects:
    """Opens, puts and deletes objects together with their rows."""

    def __init__(self, database: Database, streams: ObjectStreams, markers: FolderMarkers) -> None:
        self._database = database
        self._markers = markers
        self._streams = streams

    def check_bucket(self, bucket: str) -> None:
        """Go on if there is a bucket of this name.

        Raises:
            BucketMissingError: there is none.
        """
        self._streams.paths.check_bucket(bucket)

    def open(self, ref: ObjectRef) -> tuple[OpenObject | FolderMarker, ObjectMetadata]:
        """Open an object; the ETag of one put by hand is computed now, and remembered.

        Raises:
            ObjectError: what `ObjectStreams.open` raises; a folder's name is that of no object.
        """
        if is_folder_marker(ref):
            return self._marker(ref)
        while True:
            opened = self._opened(ref)
            try:
                metadata = self._remembered(ref, opened.version)
                if metadata is None and self._streams.version(ref) == opened.version:
                    metadata = self._computed(ref, opened)
            except BaseException:
                opened.close()
                raise
            if metadata is not None:
                return opened, metadata
            opened.close()  # replaced between the two looks, and its row gone: take the new one

    def etags(self, bucket: str, objects: Collection[tuple[str, FileVersion]]) -> list[str]:
        """Return the ETags of objects of a listing, derived ones where there are no others."""
        with self._database.reading() as rows:
            known = rows.object_metadata.find_all(bucket, [key for key, _ in objects])
        etags = {item: metadata.etag for item, metadata in known.items()}
        return [
            EMPTY_ETAG if item[0].endswith("/") else etags.get(item) or derived_etag(*item)
            for item in objects
        ]

    def put(
        self,
        ref: ObjectRef,
        content: Iterable[bytes],
        *,
        describe: Callable[[], ObjectMetadata],
        check: Callable[[str | None], None] | None = None,
    ) -> tuple[FileVersion, ObjectMetadata]:
        """Write an object, which appears only when it is complete.

        Args:
            ref: which object.
            content: an error in it leaves everything as it was.
            describe: is called when all of `content` was seen.
            check: is called with the ETag of the object that is replaced, None if there is none;
                nothing can change between that and the new object.

        Raises:
            ObjectError: what `ObjectStreams.staged` raises.
            DatabaseWriteError: the row cannot be written.
        """
        if is_folder_marker(ref):
            self.check_bucket(ref.bucket)
            with self._streams.paths.names:
                if check:
                    check(self._etag(ref))
                return self._markers.put(ref, content, describe=describe)
        with self._streams.staged(ref, content) as staged:
            metadata = describe()
            with self._streams.paths.names:
                if check:
                    check(self._etag(ref))
                old = self._streams.version(ref)
                with self._database.writing() as rows:
                    rows.object_metadata.put(ref, staged.version, metadata)
                    rows.object_metadata.forget_others(ref, {staged.version, old})
                self._streams.publish(staged, ref)
        return staged.version, metadata

    def change_headers(
        self, ref: ObjectRef, change: Callable[[Mapping[str, str]], Mapping[str, str]]
    ) -> None:
        """Replace the stored headers of an object; its content and its time stay.

        Raises:
            ObjectError: what `open` raises.
            DatabaseWriteError: the row cannot be written.
        """
        with self._streams.paths.names:
            opened, metadata = self.open(ref)
            opened.close()
            changed = replace(metadata, headers=change(metadata.headers))
            if is_folder_marker(ref):
                self._markers.change(ref, opened.version, changed)
                return
            with self._database.writing() as rows:
                rows.object_metadata.put(ref, opened.version, changed)

    def delete(self, ref: ObjectRef, *, check: Callable[[str | None], None] | None = None) -> None:
        """Delete an object, if it is there.

        Raises:
            ObjectError: what `ObjectStreams.delete` raises.
        """
        with self._streams.paths.names:
            if check:
                check(self._etag(ref))
            if is_folder_marker(ref):
                self.check_bucket(ref.bucket)
                self._markers.delete(ref)
                return
            with suppress(KeyTakenError):
                self._streams.delete(ref)
            with self._database.writing() as rows:
                rows.object_metadata.delete(ref)

    def _opened(self, ref: ObjectRef) -> OpenObject:
        """Open the file of an object; the name of a folder is that of no object."""
        try:
            return self._streams.open(ref)
        except KeyTakenError as error:
            raise ObjectMissingError(f"There is no object {ref}.") from error

    def _marker(self, ref: ObjectRef) -> tuple[FolderMarker, ObjectMetadata]:
        self.check_bucket(ref.bucket)
        marker = self._markers.find(ref)
        if marker is None:
            raise ObjectMissingError(f"There is no object {ref}.")
        return marker

    def _etag(self, ref: ObjectRef) -> str | None:
        try:
            opened, metadata = self.open(ref)
        except ObjectMissingError:
            return None
        opened.close()
        return metadata.etag

    def _remembered(self, ref: ObjectRef, version: FileVersion) -> ObjectMetadata | None:
        with self._database.looking_up() as rows:
            return rows.object_metadata.find(ref, version)

    def _computed(self, ref: ObjectRef, opened: OpenObject) -> ObjectMetadata:
        digest = hashlib.md5(usedforsecurity=False)
        position = 0
        while position < opened.version.size_bytes:
            chunk = opened.read_at(position, CHUNK_BYTES)
            digest.update(chunk)
            position += len(chunk)
        metadata = ObjectMetadata(
            etag=digest.hexdigest(), headers={"ContentType": type_by_name(ref.key)}
        )
        with suppress(DatabaseWriteError), self._database.writing() as rows:  # a full disk reads on
            rows.object_metadata.put(ref, opened.version, metadata)
        return metadata
