"""Rows of folder markers: empty objects whose keys end in a slash, which no file can be."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, select

from blemish.domain.entities import ObjectRef
from blemish.storage.database.tables import FOLDER_MARKERS as TABLE
from blemish.storage.objects.streams import FileVersion
from blemish.storage.rows.object_metadata import ObjectMetadata

HIGHEST = chr(0x10FFFF)
"""The last code point: no key is between all that begin with a prefix and the prefix with it."""


class FolderMarkerRows:
    """The folder markers of all buckets, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, ref: ObjectRef) -> tuple[FileVersion, ObjectMetadata] | None:
        """Return a marker; None if there is none."""
        row = self._connection.execute(select(TABLE).where(_is(ref))).first()
        return None if row is None else (_version(row), _metadata(row))

    def page(
        self, bucket: str, *, prefix: str, after: str, limit: int
    ) -> list[tuple[str, FileVersion]]:
        """Return the keys that begin with a prefix and come after another key, in their order."""
        statement = (
            select(TABLE)
            .where(
                TABLE.c.bucket == bucket,
                TABLE.c.key > after,
                TABLE.c.key >= prefix,  # LIKE would take no account of case
                TABLE.c.key < f"{prefix}{HIGHEST}",
            )
            .order_by(TABLE.c.key)
            .limit(limit)
        )
        return [(row.key, _version(row)) for row in self._connection.execute(statement)]

    def put(self, ref: ObjectRef, version: FileVersion, metadata: ObjectMetadata) -> None:
        """Store a marker in place of one with the same key."""
        self.delete(ref)
        values = asdict(ref) | asdict(metadata) | {"modified_ns": version.modified_ns}
        self._connection.execute(insert(TABLE).values(**values))

    def delete(self, ref: ObjectRef) -> None:
        """Delete a marker, if it is there."""
        self._connection.execute(delete(TABLE).where(_is(ref)))


def _is(ref: ObjectRef) -> ColumnElement[bool]:
    return and_(TABLE.c.bucket == ref.bucket, TABLE.c.key == ref.key)


def _version(row: Row[Any]) -> FileVersion:
    return FileVersion(size_bytes=0, modified_ns=row.modified_ns)


def _metadata(row: Row[Any]) -> ObjectMetadata:
    return ObjectMetadata(
        etag=row.etag, headers=row.headers, metadata=row.metadata, checksums=row.checksums
    )
