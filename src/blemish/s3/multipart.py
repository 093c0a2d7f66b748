"""Operations on uploads in parts.

A part is a file of its own until the upload is complete; then all of them are written into one
object, which appears only when it is complete.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from blemish.domain.entities import ObjectRef
from blemish.s3.assembly import (
    PartsDigest,
    checked_parts,
    named_parts_digest,
    part_chunks,
    upload_checksum,
)
from blemish.s3.background_digest import BackgroundDigest
from blemish.s3.conditions import copied_range, write_check
from blemish.s3.object_headers import (
    checksum_members,
    encryption_member,
    pop_headers,
    pop_metadata,
    quoted,
)
from blemish.s3.objects import open_source, pop_source_conditions, source_ref
from blemish.s3.protocol.checksums import ALGORITHMS, in_base64
from blemish.s3.protocol.errors import (
    InvalidArgumentError,
    InvalidPartError,
    NoSuchUploadError,
    PreconditionFailedError,
)
from blemish.s3.stored_objects import Readable, StoredObjects, hashed_body, hashed_content
from blemish.s3.unsupported import refuse_unsupported, s3_ref
from blemish.s3.uploads import part_checksum_members, require_upload
from blemish.storage.database.database import Database
from blemish.storage.objects.paths import ObjectPaths
from blemish.storage.rows.object_metadata import ObjectMetadata
from blemish.storage.rows.uploads import CompletedUpload, Part, Upload
from blemish.storage.stored_files import StoredFiles

MAX_PART_NUMBER = 10_000
"""Source: Amazon S3 User Guide, "Multipart upload limits"."""


class MultipartOperations:
    """Begins uploads, takes their parts, and makes objects of them."""

    def __init__(
        self,
        database: Database,
        objects: StoredObjects,
        *,
        paths: ObjectPaths,
        parts: StoredFiles,
        now: Callable[[], datetime],
        new_name: Callable[[], str],
    ) -> None:
        self._database = database
        self._objects = objects
        self._paths = paths
        self._parts = parts
        self._now = now
        self._new_name = new_name

    def create_multipart_upload(
        self,
        *,
        bucket: str,
        key: str,
        checksum_algorithm: str | None = None,
        checksum_type: str | None = None,
        **others: Any,
    ) -> dict[str, Any]:
        ref = s3_ref(bucket, key)
        algorithm, kind = upload_checksum(checksum_algorithm, checksum_type)
        headers, metadata = pop_headers(others), pop_metadata(others)
        refuse_unsupported(others)
        self._paths.look(ref)
        upload = Upload(
            id=self._new_name(),
            ref=ref,
            headers=headers,
            metadata=metadata,
            checksum_algorithm=algorithm,
            checksum_type=kind,
            created_at=self._now(),
        )
        with self._database.writing() as rows:
            rows.uploads.add(upload)
        return {
            "Bucket": bucket,
            "Key": key,
            "UploadId": upload.id,
            "ChecksumAlgorithm": algorithm,
            "ChecksumType": kind,
            **encryption_member(headers),
        }

    def upload_part(
        self,
        *,
        bucket: str,
        key: str,
        upload_id: str,
        part_number: int,
        body: Readable | None = None,
        **others: Any,
    ) -> dict[str, Any]:
        refuse_unsupported(others)
        upload = require_upload(self._database, self._paths, s3_ref(bucket, key), upload_id)
        part = self._take(upload, part_number, lambda *digests: hashed_body(body, *digests))
        return {
            "ETag": quoted(part.etag),
            **part_checksum_members(part),
            **encryption_member(upload.headers),
        }

    def upload_part_copy(
        self,
        *,
        bucket: str,
        key: str,
        upload_id: str,
        part_number: int,
        copy_source: str,
        copy_source_range: str | None = None,
        **others: Any,
    ) -> dict[str, Any]:
        conditions = pop_source_conditions(others)
        refuse_unsupported(others)
        upload = require_upload(self._database, self._paths, s3_ref(bucket, key), upload_id)
        opened, _ = open_source(self._objects, source_ref(copy_source), conditions)
        try:
            start, end = copied_range(copy_source_range, opened.version.size_bytes)
            part = self._take(
                upload,
                part_number,
                lambda *digests: hashed_content(opened.content(start, end), *digests),
            )
        finally:
            opened.close()
        result = {"ETag": quoted(part.etag), "LastModified": part.modified_at}
        return {
            "CopyPartResult": result | part_checksum_members(part),
            **encryption_member(upload.headers),
        }

    def complete_multipart_upload(
        self,
        *,
        bucket: str,
        key: str,
        upload_id: str,
        multipart_upload: Any = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        mpu_object_size: int | None = None,
        **others: Any,
    ) -> dict[str, Any]:
        ref = s3_ref(bucket, key)
        named_parts = (multipart_upload or {}).get("Parts", [])
        try:
            upload = require_upload(self._database, self._paths, ref, upload_id)
            parts = self._checked_parts(upload_id, named_parts)
            digest = PartsDigest(upload, parts, announced=others, size_bytes=mpu_object_size)
            refuse_unsupported(others)
            check = write_check(if_match, if_none_match)
            metadata = self._assembled(upload, parts, digest=digest, check=check)
        except (NoSuchUploadError, InvalidPartError, PreconditionFailedError):
            completed = self._completed_before(ref, upload_id, named_parts)
            if completed is None:
                raise
        else:
            completed = self._complete(upload, metadata, parts=named_parts_digest(named_parts))
        return {
            "Location": f"/{bucket}/{key}",
            "Bucket": bucket,
            "Key": key,
            "ETag": quoted(completed.etag),
            **checksum_members(completed.checksums),
            **encryption_member(completed.headers),
        }

    def abort_multipart_upload(
        self, *, bucket: str, key: str, upload_id: str, **others: Any
    ) -> dict[str, Any]:
        refuse_unsupported(others)
        require_upload(self._database, self._paths, s3_ref(bucket, key), upload_id)
        self._forget(upload_id)
        return {}

    def _checked_parts(
        self, upload_id: str, named_parts: Sequence[Mapping[str, Any]]
    ) -> list[Part]:
        with self._database.reading() as rows:
            stored_parts = {part.number: part for part in rows.uploads.parts(upload_id)}
        return checked_parts(named_parts, stored_parts)

    def _assembled(
        self,
        upload: Upload,
        parts: Sequence[Part],
        *,
        digest: PartsDigest,
        check: Callable[[str | None], None] | None,
    ) -> ObjectMetadata:
        _, metadata = self._objects.put(
            upload.ref,
            hashed_content(part_chunks(self._parts, parts), digest),
            describe=lambda: ObjectMetadata(
                etag=digest.etag(),
                headers=upload.headers,
                metadata=upload.metadata,
                checksums=digest.checksums(),
            ),
            check=check,
        )
        return metadata

    def _completed_before(
        self, ref: ObjectRef, upload_id: str, named_parts: Sequence[Mapping[str, Any]]
    ) -> CompletedUpload | None:
        """Return the answer to the same request, if it came before."""
        with self._database.reading() as rows:
            completed = rows.uploads.find_completed(ref, upload_id)
        if completed is None or completed.parts != named_parts_digest(named_parts):
            return None
        return completed

    def _complete(self, upload: Upload, metadata: ObjectMetadata, *, parts: str) -> CompletedUpload:
        """Store the answer in place of the upload, and delete its files."""
        completed = CompletedUpload(
            id=upload.id,
            ref=upload.ref,
            parts=parts,
            etag=metadata.etag,
            headers=encryption_member(upload.headers),
            checksums=metadata.checksums,
            completed_at=self._now(),
        )
        with self._database.writing() as rows:
            files = rows.uploads.complete(completed)
        for file in files:
            self._parts.delete(file)
        return completed

    def _take(self, upload: Upload, number: int, content: Callable[..., Iterable[bytes]]) -> Part:
        """Store a part; `content` yields it and updates digests."""
        if not 1 <= number <= MAX_PART_NUMBER:
            raise InvalidArgumentError(
                f"Part number must be an integer between 1 and {MAX_PART_NUMBER}, inclusive."
            )
        md5, size = BackgroundDigest(hashlib.md5(usedforsecurity=False)), _Size()
        algorithm = upload.checksum_algorithm
        checksum = ALGORITHMS[algorithm]() if algorithm else None
        name = self._new_name()
        self._parts.write(name, content(md5, size, *([checksum] if checksum else [])))
        part = Part(
            number=number,
            file=name,
            size_bytes=size.value,
            etag=md5.hexdigest(),
            checksums={algorithm: in_base64(checksum)} if algorithm and checksum else {},
            modified_at=self._now(),
        )
        try:
            with self._database.writing() as rows:
                if rows.uploads.find(upload.ref, upload.id) is None:
                    raise NoSuchUploadError("The upload was completed or aborted meanwhile.")
                old = rows.uploads.put_part(upload.id, part)
        except BaseException:
            self._parts.delete(name)
            raise
        if old:
            self._parts.delete(old)
        return part

    def _forget(self, upload_id: str) -> None:
        with self._database.writing() as rows:
            files = rows.uploads.delete(upload_id)
        for file in files:
            self._parts.delete(file)


class _Size:
    """Counts bytes, as a digest would see them."""

    def __init__(self) -> None:
        self.value = 0

    def update(self, data: bytes) -> None:
        self.value += len(data)
