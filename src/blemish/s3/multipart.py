"""Operations on uploads in parts.

A part is a file of its own until the upload is complete; then all of them are written into one
object, which is there whole or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from blemish.s3.assembly import (
    PartsDigest,
    checked_parts,
    chosen_checksum,
    part_chunks,
)
from blemish.s3.conditions import copied_range, write_check
from blemish.s3.described import DescribedObjects, Readable, chunks, seen
from blemish.s3.members import quoted, taken_headers, taken_metadata, told_checksums
from blemish.s3.objects import open_source, source_ref, taken_source_conditions
from blemish.s3.offered import object_ref, refuse_unoffered
from blemish.s3.protocol.checksums import ALGORITHMS, in_base64
from blemish.s3.protocol.errors import InvalidArgumentError, NoSuchUploadError
from blemish.s3.uploads import found_upload, told_part_checksums
from blemish.storage.database import Database
from blemish.storage.kept import KeptFiles
from blemish.storage.object_metadata import ObjectMetadata
from blemish.storage.object_paths import ObjectPaths
from blemish.storage.uploads import Part, Upload

MAX_PART_NUMBER = 10_000
"""Source: Amazon S3 User Guide, "Multipart upload limits"."""


class MultipartOperations:
    """Begins uploads, takes their parts, and makes objects of them."""

    def __init__(
        self,
        database: Database,
        objects: DescribedObjects,
        *,
        paths: ObjectPaths,
        parts: KeptFiles,
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
        ref = object_ref(bucket, key)
        algorithm, kind = chosen_checksum(checksum_algorithm, checksum_type)
        headers, metadata = taken_headers(others), taken_metadata(others)
        refuse_unoffered(others)
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
        refuse_unoffered(others)
        upload = found_upload(self._database, self._paths, object_ref(bucket, key), upload_id)
        part = self._take(upload, part_number, lambda *digests: chunks(body, *digests))
        return {"ETag": quoted(part.etag), **told_part_checksums(part)}

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
        conditions = taken_source_conditions(others)
        refuse_unoffered(others)
        upload = found_upload(self._database, self._paths, object_ref(bucket, key), upload_id)
        opened, _ = open_source(self._objects, source_ref(copy_source), conditions)
        try:
            start, end = copied_range(copy_source_range, opened.version.size_bytes)
            part = self._take(
                upload, part_number, lambda *digests: seen(opened.content(start, end), *digests)
            )
        finally:
            opened.close()
        result = {"ETag": quoted(part.etag), "LastModified": part.modified_at}
        return {"CopyPartResult": result | told_part_checksums(part)}

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
        ref = object_ref(bucket, key)
        upload = found_upload(self._database, self._paths, ref, upload_id)
        with self._database.reading() as rows:
            there = {part.number: part for part in rows.uploads.parts(upload_id)}
        parts = checked_parts((multipart_upload or {}).get("Parts", []), there)
        digest = PartsDigest(upload, parts, announced=others, size_bytes=mpu_object_size)
        refuse_unoffered(others)
        _, metadata = self._objects.put(
            ref,
            seen(part_chunks(self._parts, parts), digest),
            describe=lambda: ObjectMetadata(
                etag=digest.etag(),
                headers=upload.headers,
                metadata=upload.metadata,
                checksums=digest.checksums(),
            ),
            check=write_check(if_match, if_none_match),
        )
        self._forget(upload_id)
        return {
            "Location": f"/{bucket}/{key}",
            "Bucket": bucket,
            "Key": key,
            "ETag": quoted(metadata.etag),
            **told_checksums(metadata.checksums),
        }

    def abort_multipart_upload(
        self, *, bucket: str, key: str, upload_id: str, **others: Any
    ) -> dict[str, Any]:
        refuse_unoffered(others)
        found_upload(self._database, self._paths, object_ref(bucket, key), upload_id)
        self._forget(upload_id)
        return {}

    def _take(self, upload: Upload, number: int, content: Callable[..., Iterable[bytes]]) -> Part:
        """Keep a part, whose content is made so that digests see it."""
        if not 1 <= number <= MAX_PART_NUMBER:
            raise InvalidArgumentError(
                f"Part number must be an integer between 1 and {MAX_PART_NUMBER}, inclusive."
            )
        md5, size = hashlib.md5(usedforsecurity=False), _Size()
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
