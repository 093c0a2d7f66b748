"""Rows of multipart uploads. The parts are files, and the rows hold their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, exists, func, insert, or_, select

from blemish.domain.entities import ObjectRef
from blemish.storage.database.tables import COMPLETED_UPLOADS, UPLOAD_PARTS, UPLOADS


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A multipart upload, which is not an object yet."""

    id: str
    ref: ObjectRef
    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    checksum_algorithm: str | None
    #: COMPOSITE (of the parts' checksums) or FULL_OBJECT
    checksum_type: str | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of an upload."""

    number: int
    #: name of the file that holds it
    file: str
    size_bytes: int
    #: without quotation marks
    etag: str
    checksums: Mapping[str, str]
    modified_at: datetime


@dataclass(frozen=True, kw_only=True)
class CompletedUpload:
    """The answer to a request that completed an upload, for the same request sent again."""

    id: str
    ref: ObjectRef
    #: digest of the parts that the request named
    parts: str
    #: without quotation marks
    etag: str
    headers: Mapping[str, str]
    checksums: Mapping[str, str]
    completed_at: datetime


class Uploads:
    """The uploads and their parts, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, upload: Upload) -> None:
        """Add an upload; its id must be new."""
        values = asdict(upload)
        self._connection.execute(insert(UPLOADS).values(**values.pop("ref"), **values))

    def find(self, ref: ObjectRef, upload_id: str) -> Upload | None:
        """Return the upload of this id, if it belongs to this object."""
        statement = select(UPLOADS).where(
            UPLOADS.c.id == upload_id, UPLOADS.c.bucket == ref.bucket, UPLOADS.c.key == ref.key
        )
        row = self._connection.execute(statement).first()
        return None if row is None else _upload(row)

    def complete(self, completed: CompletedUpload) -> list[str]:
        """Replace an upload by its answer; return the names of its files."""
        files = self.delete(completed.id)
        values = asdict(completed)
        self._connection.execute(
            delete(COMPLETED_UPLOADS).where(COMPLETED_UPLOADS.c.id == completed.id)
        )
        self._connection.execute(insert(COMPLETED_UPLOADS).values(**values.pop("ref"), **values))
        return files

    def find_completed(self, ref: ObjectRef, upload_id: str) -> CompletedUpload | None:
        """Return the answer of an upload of this object that is complete."""
        statement = select(COMPLETED_UPLOADS).where(
            COMPLETED_UPLOADS.c.id == upload_id,
            COMPLETED_UPLOADS.c.bucket == ref.bucket,
            COMPLETED_UPLOADS.c.key == ref.key,
        )
        row = self._connection.execute(statement).first()
        return None if row is None else _completed(row)

    def forget_completed(self, *, before: datetime) -> None:
        """Delete the answers of uploads that were completed before a time."""
        self._connection.execute(
            delete(COMPLETED_UPLOADS).where(COMPLETED_UPLOADS.c.completed_at < before)
        )

    def page(
        self, bucket: str, *, prefix: str, after_key: str, after_id: str, limit: int
    ) -> list[Upload]:
        """Return the uploads of a bucket by key and id, those after both markers.

        Without `after_id`, those of `after_key` itself are not among them.
        """
        beyond = UPLOADS.c.key > after_key
        if after_id:
            beyond = or_(beyond, and_(UPLOADS.c.key == after_key, UPLOADS.c.id > after_id))
        statement = (
            select(UPLOADS)
            .where(UPLOADS.c.bucket == bucket, beyond)
            # not LIKE, which ignores case in SQLite
            .where(func.substr(UPLOADS.c.key, 1, len(prefix)) == prefix)
            .order_by(UPLOADS.c.key, UPLOADS.c.id)
            .limit(limit)
        )
        return [_upload(row) for row in self._connection.execute(statement)]

    def delete(self, upload_id: str) -> list[str]:
        """Delete an upload; return the names of its files."""
        mine = UPLOAD_PARTS.c.upload_id == upload_id
        files = self._connection.scalars(select(UPLOAD_PARTS.c.file).where(mine)).all()
        self._connection.execute(delete(UPLOAD_PARTS).where(mine))
        self._connection.execute(delete(UPLOADS).where(UPLOADS.c.id == upload_id))
        return list(files)

    def delete_bucket(self, bucket: str) -> list[str]:
        """Delete every upload of a bucket and all answers; return the names of the files."""
        self._connection.execute(
            delete(COMPLETED_UPLOADS).where(COMPLETED_UPLOADS.c.bucket == bucket)
        )
        of_bucket = select(UPLOADS.c.id).where(UPLOADS.c.bucket == bucket)
        ids = self._connection.scalars(of_bucket).all()
        return [file for upload_id in ids for file in self.delete(upload_id)]

    def abandoned(self, *, before: datetime) -> list[str]:
        """Return the ids of the uploads without a change since a time."""
        recent = exists().where(
            UPLOAD_PARTS.c.upload_id == UPLOADS.c.id, UPLOAD_PARTS.c.modified_at >= before
        )
        statement = select(UPLOADS.c.id).where(UPLOADS.c.created_at < before, ~recent)
        return list(self._connection.scalars(statement))

    def delete_all(self) -> None:
        """Delete every upload; the caller deletes their files."""
        self._connection.execute(delete(UPLOAD_PARTS))
        self._connection.execute(delete(UPLOADS))
        self._connection.execute(delete(COMPLETED_UPLOADS))

    def put_part(self, upload_id: str, part: Part) -> str | None:
        """Add or replace a part; return the file name of the replaced one."""
        same = and_(UPLOAD_PARTS.c.upload_id == upload_id, UPLOAD_PARTS.c.number == part.number)
        old: str | None = self._connection.scalar(select(UPLOAD_PARTS.c.file).where(same))
        self._connection.execute(delete(UPLOAD_PARTS).where(same))
        values = asdict(part)
        self._connection.execute(insert(UPLOAD_PARTS).values(upload_id=upload_id, **values))
        return old

    def parts(self, upload_id: str, *, after: int = 0, limit: int = 10_000) -> list[Part]:
        """Return the parts of an upload whose numbers come after `after`, in order."""
        statement = (
            select(UPLOAD_PARTS)
            .where(UPLOAD_PARTS.c.upload_id == upload_id, UPLOAD_PARTS.c.number > after)
            .order_by(UPLOAD_PARTS.c.number)
            .limit(limit)
        )
        return [_part(row) for row in self._connection.execute(statement)]

    def file_names(self) -> set[str]:
        """Return the names of the files of all parts."""
        return set(self._connection.scalars(select(UPLOAD_PARTS.c.file)))


def _upload(row: Row[Any]) -> Upload:
    return Upload(
        id=row.id,
        ref=ObjectRef(bucket=row.bucket, key=row.key),
        headers=row.headers,
        metadata=row.metadata,
        checksum_algorithm=row.checksum_algorithm,
        checksum_type=row.checksum_type,
        created_at=row.created_at,
    )


def _completed(row: Row[Any]) -> CompletedUpload:
    return CompletedUpload(
        id=row.id,
        ref=ObjectRef(bucket=row.bucket, key=row.key),
        parts=row.parts,
        etag=row.etag,
        headers=row.headers,
        checksums=row.checksums,
        completed_at=row.completed_at,
    )


def _part(row: Row[Any]) -> Part:
    return Part(
        number=row.number,
        file=row.file,
        size_bytes=row.size_bytes,
        etag=row.etag,
        checksums=row.checksums,
        modified_at=row.modified_at,
    )
