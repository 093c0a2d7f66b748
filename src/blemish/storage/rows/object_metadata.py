"""Rows of metadata that S3 has and file systems lack: ETag, content type, user metadata.

A row belongs to one content of one key, identified by size and time. So a row can be written before
its file gets its name; until then, and for readers of the old file, the old row counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, or_, select, tuple_

from blemish.domain.entities import ObjectRef
from blemish.storage.database.tables import OBJECT_METADATA as TABLE
from blemish.storage.objects.streams import FileVersion


@dataclass(frozen=True, kw_only=True)
class ObjectMetadata:
    """The metadata of an object."""

    #: without quotation marks
    etag: str
    #: Content-Type and the like, by their names among the members of PutObject
    headers: Mapping[str, str] = field(default_factory=dict)
    #: user metadata
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: base64, by the name of the algorithm; with "-" and a number where it is one of checksums
    checksums: Mapping[str, str] = field(default_factory=dict)


class ObjectMetadataRows:
    """The metadata of objects, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, ref: ObjectRef, version: FileVersion) -> ObjectMetadata | None:
        """Return the metadata of a content of an object."""
        statement = select(TABLE).where(_of(ref), _is(version))
        row = self._connection.execute(statement).first()
        return None if row is None else _metadata(row)

    def find_all(
        self, bucket: str, keys: Collection[str]
    ) -> dict[tuple[str, FileVersion], ObjectMetadata]:
        """Return the metadata of all contents of these keys (a few thousand at most)."""
        statement = select(TABLE).where(TABLE.c.bucket == bucket, TABLE.c.key.in_(keys))
        return {
            (
                row.key,
                FileVersion(size_bytes=row.size_bytes, modified_ns=row.modified_ns),
            ): _metadata(row)
            for row in self._connection.execute(statement)
        }

    def page(
        self, after: tuple[str, str] | None, *, before_ns: int, limit: int
    ) -> list[tuple[ObjectRef, FileVersion]]:
        """Return the contents with metadata after `after`, by bucket and key.

        Args:
            after: bucket and key; None for the beginning.
            before_ns: only contents that are older.
            limit: of a page; further contents of its last key are on none.
        """
        statement = select(TABLE).where(TABLE.c.modified_ns < before_ns)
        if after is not None:
            statement = statement.where(tuple_(TABLE.c.bucket, TABLE.c.key) > after)
        statement = statement.order_by(TABLE.c.bucket, TABLE.c.key).limit(limit)
        return [
            (
                ObjectRef(bucket=row.bucket, key=row.key),
                FileVersion(size_bytes=row.size_bytes, modified_ns=row.modified_ns),
            )
            for row in self._connection.execute(statement)
        ]

    def forget(self, ref: ObjectRef, version: FileVersion) -> None:
        """Delete the metadata of a content of an object."""
        self._connection.execute(delete(TABLE).where(_of(ref), _is(version)))

    def put(self, ref: ObjectRef, version: FileVersion, metadata: ObjectMetadata) -> None:
        """Replace the metadata of a content of an object."""
        self.forget(ref, version)
        values = asdict(ref) | asdict(version) | asdict(metadata)
        self._connection.execute(insert(TABLE).values(**values))

    def forget_others(self, ref: ObjectRef, versions: Collection[FileVersion | None]) -> None:
        """Delete the metadata of every content of an object except these."""
        these = [_is(version) for version in versions if version is not None]
        self._connection.execute(delete(TABLE).where(_of(ref), ~or_(*these)))

    def delete(self, ref: ObjectRef) -> None:
        """Delete the metadata of an object."""
        self._connection.execute(delete(TABLE).where(_of(ref)))

    def delete_bucket(self, bucket: str) -> None:
        """Delete the metadata of every object of a bucket."""
        self._connection.execute(delete(TABLE).where(TABLE.c.bucket == bucket))


def _of(ref: ObjectRef) -> ColumnElement[bool]:
    return and_(TABLE.c.bucket == ref.bucket, TABLE.c.key == ref.key)


def _is(version: FileVersion) -> ColumnElement[bool]:
    return and_(
        TABLE.c.size_bytes == version.size_bytes, TABLE.c.modified_ns == version.modified_ns
    )


def _metadata(row: Row[Any]) -> ObjectMetadata:
    return ObjectMetadata(
        etag=row.etag,
        headers=row.headers,
        metadata=row.metadata,
        checksums=row.checksums,
    )
