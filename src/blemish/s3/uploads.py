"""Operations that list uploads in parts, and what their makers share with them."""

from __future__ import annotations

from typing import Any

from blemish.domain.entities import ObjectRef
from blemish.s3.listing import encoder
from blemish.s3.object_headers import checksum_members, quoted
from blemish.s3.protocol.errors import NoSuchUploadError
from blemish.s3.unsupported import refuse_unsupported, s3_ref
from blemish.storage.database.database import Database
from blemish.storage.objects.paths import ObjectPaths
from blemish.storage.rows.uploads import Part, Upload

MAX_LISTED = 1_000
"""Parts or uploads of one page. Source: Amazon S3 User Guide, "Multipart upload limits"."""


class UploadListingOperations:
    """Lists uploads that are neither complete nor aborted, and their parts."""

    def __init__(self, database: Database, paths: ObjectPaths, *, owner: str) -> None:
        self._database = database
        self._paths = paths
        self._owner = {"ID": owner, "DisplayName": owner}

    def list_parts(
        self,
        *,
        bucket: str,
        key: str,
        upload_id: str,
        max_parts: int = MAX_LISTED,
        part_number_marker: int = 0,
        **others: Any,
    ) -> dict[str, Any]:
        refuse_unsupported(others)
        upload = require_upload(self._database, self._paths, s3_ref(bucket, key), upload_id)
        limit = max(1, min(max_parts, MAX_LISTED))
        with self._database.reading() as rows:
            parts = rows.uploads.parts(upload_id, after=int(part_number_marker), limit=limit + 1)
        page = parts[:limit]
        return {
            "Bucket": bucket,
            "Key": key,
            "UploadId": upload_id,
            "PartNumberMarker": part_number_marker,
            "NextPartNumberMarker": page[-1].number if page else 0,
            "MaxParts": limit,
            "IsTruncated": len(parts) > limit,
            "Parts": [_part_members(part) for part in page],
            "StorageClass": "STANDARD",
            "Owner": self._owner,
            "Initiator": self._owner,
            "ChecksumAlgorithm": upload.checksum_algorithm,
            "ChecksumType": upload.checksum_type,
        }

    def list_multipart_uploads(
        self,
        *,
        bucket: str,
        prefix: str = "",
        key_marker: str = "",
        upload_id_marker: str = "",
        max_uploads: int = MAX_LISTED,
        encoding_type: str | None = None,
        **others: Any,
    ) -> dict[str, Any]:
        refuse_unsupported(others)
        encode = encoder(encoding_type)
        self._paths.check_bucket(bucket)
        limit = max(1, min(max_uploads, MAX_LISTED))
        with self._database.reading() as rows:
            uploads = rows.uploads.page(
                bucket,
                prefix=prefix,
                after_key=key_marker,
                after_id=upload_id_marker,
                limit=limit + 1,
            )
        page, more = uploads[:limit], len(uploads) > limit
        return {
            "Bucket": bucket,
            "Prefix": encode(prefix),
            "KeyMarker": encode(key_marker),
            "UploadIdMarker": upload_id_marker,
            "NextKeyMarker": encode(page[-1].ref.key) if more else None,
            "NextUploadIdMarker": page[-1].id if more else None,
            "MaxUploads": limit,
            "IsTruncated": more,
            "EncodingType": encoding_type,
            "Uploads": [
                {
                    "Key": encode(upload.ref.key),
                    "UploadId": upload.id,
                    "Initiated": upload.created_at,
                    "StorageClass": "STANDARD",
                    "Owner": self._owner,
                    "Initiator": self._owner,
                    "ChecksumAlgorithm": upload.checksum_algorithm,
                    "ChecksumType": upload.checksum_type,
                }
                for upload in page
            ],
        }


def require_upload(
    database: Database, paths: ObjectPaths, ref: ObjectRef, upload_id: str
) -> Upload:
    """Return an upload of an object.

    Raises:
        BucketMissingError: there is no such bucket.
        NoSuchUploadError: there is none with this id.
    """
    paths.check_bucket(ref.bucket)
    with database.reading() as rows:
        upload = rows.uploads.find(ref, upload_id)
    if upload is None:
        raise NoSuchUploadError(f"There is no upload {upload_id!r:.100} of this object.")
    return upload


def part_checksum_members(part: Part) -> dict[str, str]:
    """Return the checksums of a part as members of an answer; no type is members of them."""
    members = checksum_members(part.checksums)
    return {name: value for name, value in members.items() if name != "ChecksumType"}


def _part_members(part: Part) -> dict[str, Any]:
    return {
        "PartNumber": part.number,
        "ETag": quoted(part.etag),
        "Size": part.size_bytes,
        "LastModified": part.modified_at,
        **part_checksum_members(part),
    }
