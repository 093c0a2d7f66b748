"""Folder markers: empty objects whose keys end in a slash, as S3's console makes them.

No file can have such a name, so they are rows alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from blemish.domain.entities import ObjectRef
from blemish.storage.database.database import Database
from blemish.storage.errors import KeyNotAllowedError
from blemish.storage.objects.listing import ListedObject, rolled_up
from blemish.storage.objects.names import refusal
from blemish.storage.objects.streams import FileVersion
from blemish.storage.rows.object_metadata import ObjectMetadata

EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e"
"""The MD5 of nothing."""

BATCH = 1_000
"""Markers that are read from the database at once."""


class FolderMarker:
    """A marker that is open for reading, as `storage.objects.streams.OpenObject` is."""

    def __init__(self, version: FileVersion) -> None:
        self.version = version

    def content(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Return nothing."""
        del start, end
        return iter(())

    def close(self) -> None:
        """Do nothing."""


class FolderMarkers:
    """Stores and lists folder markers."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def find(self, ref: ObjectRef) -> tuple[FolderMarker, ObjectMetadata] | None:
        """Return a marker; None if there is none."""
        with self._database.reading() as rows:
            row = rows.folder_markers.find(ref)
        return None if row is None else (FolderMarker(row[0]), row[1])

    def put(
        self, ref: ObjectRef, content: Iterable[bytes], *, describe: Callable[[], ObjectMetadata]
    ) -> tuple[FileVersion, ObjectMetadata]:
        """Store a marker.

        Raises:
            KeyNotAllowedError: it would not be empty.
            DatabaseWriteError: it cannot be stored.
        """
        for chunk in content:
            if chunk:
                raise KeyNotAllowedError(
                    f"{ref.key!r:.300} ends in a slash: it can only be the key of an empty object."
                )
        version = FileVersion(size_bytes=0, modified_ns=int(self._now().timestamp() * 10**9))
        metadata = describe()
        self.change(ref, version, metadata)
        return version, metadata

    def change(self, ref: ObjectRef, version: FileVersion, metadata: ObjectMetadata) -> None:
        """Replace what is stored of a marker.

        Raises:
            DatabaseWriteError: it cannot be stored.
        """
        with self._database.writing() as rows:
            rows.folder_markers.put(ref, version, metadata)

    def delete(self, ref: ObjectRef) -> None:
        """Delete a marker, if it is there."""
        with self._database.writing() as rows:
            rows.folder_markers.delete(ref)

    def first(self, bucket: str) -> str | None:
        """Return the first key of a bucket; None if it has no marker."""
        return next((item.key for item in self._walk(bucket, prefix="", after="")), None)

    def merged(
        self,
        files: Iterator[ListedObject | str],
        bucket: str,
        *,
        prefix: str,
        after: str,
        delimiter: str,
    ) -> Iterator[ListedObject | str]:
        """Yield the files of a listing, and the markers of the same listing, in their order."""
        markers: Iterator[ListedObject | str] = self._walk(bucket, prefix=prefix, after=after)
        if delimiter:
            markers = rolled_up(markers, prefix, delimiter, after=after)
        last = None
        for item in heapq.merge(files, markers, key=_key):
            if item != last:  # a folder with files has a common prefix already
                yield item
            last = item

    def _walk(self, bucket: str, *, prefix: str, after: str) -> Iterator[ListedObject]:
        while True:
            with self._database.reading() as rows:
                page = rows.folder_markers.page(bucket, prefix=prefix, after=after, limit=BATCH)
            for key, version in page:
                yield ListedObject(key=key, version=version)
            if len(page) < BATCH:
                return
            after = page[-1][0]


def is_folder_marker(ref: ObjectRef) -> bool:
    """Return whether an object is the marker of a folder, by its key."""
    return ref.key.endswith("/") and refusal(ref.key[:-1]) is None


def _key(item: ListedObject | str) -> str:
    return item if isinstance(item, str) else item.key
