"""Headers of objects: read from requests, stored, and returned with the content."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore import xform_name

from blemish.s3.content_types import DEFAULT_TYPE
from blemish.s3.object_tags import pop_tags, tag_count, without_tags
from blemish.s3.protocol.errors import MetadataTooLargeError, UnsupportedError
from blemish.s3.protocol.rest_xml import check_headers
from blemish.storage.objects.streams import FileVersion
from blemish.storage.rows.object_metadata import ObjectMetadata

RETURNED_HEADERS = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
)
"""Headers of an object that a request may set and another may replace in its response."""

ENCRYPTION = "ServerSideEncryption"
"""Header that S3 repeats in its responses, and that changes nothing there since 2023.

Source: Amazon S3 User Guide, "Setting default server-side encryption behavior for Amazon S3
buckets".
"""

ENCRYPTIONS = frozenset({None, "AES256"})

MAX_METADATA_BYTES = 2 * 1024
"""Of the user's names and values. Source: Amazon S3 User Guide, "Working with object metadata"."""


def pop_headers(members: dict[str, Any]) -> dict[str, str]:
    """Take the headers and tags that are stored out of the members of a request.

    Raises:
        InvalidArgumentError: no response could repeat one of them.
        InvalidTagError: a tag is not allowed.
        UnsupportedError: the encryption is not AES256.
    """
    headers = {name: members.pop(xform_name(name), None) for name in RETURNED_HEADERS}
    if isinstance(expires := headers["Expires"], datetime):
        headers["Expires"] = expires.isoformat()
    codings = [coding.strip() for coding in (headers["ContentEncoding"] or "").split(",")]
    # says how the body travelled, not what it is
    headers["ContentEncoding"] = (
        ",".join(coding for coding in codings if coding != "aws-chunked") or None
    )
    stored = {name: value for name, value in headers.items() if value is not None}
    check_headers({xform_name(name, "-"): value for name, value in stored.items()})
    return stored | _pop_encryption(members) | pop_tags(members)


def _pop_encryption(members: dict[str, Any]) -> dict[str, str]:
    encryption = members.pop(xform_name(ENCRYPTION), None)
    if encryption not in ENCRYPTIONS:
        raise UnsupportedError(
            f"x-amz-server-side-encryption is not supported as {encryption!r:.100}. Use AES256, "
            "or leave the header out."
        )
    return {ENCRYPTION: encryption} if encryption else {}


def encryption_member(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the member that repeats the encryption of a stored object."""
    return {ENCRYPTION: headers[ENCRYPTION]} if ENCRYPTION in headers else {}


def pop_metadata(members: dict[str, Any]) -> dict[str, str]:
    """Take the user's metadata out of the members of a request.

    Raises:
        InvalidArgumentError: no response could repeat one; presigned URLs may hold any text.
        MetadataTooLargeError: they are longer than S3 allows.
    """
    metadata: dict[str, str] = members.pop("metadata", None) or {}
    check_headers({f"x-amz-meta-{name}": text for name, text in metadata.items()})
    size = sum(len(text.encode()) for pair in metadata.items() for text in pair)
    if size > MAX_METADATA_BYTES:
        raise MetadataTooLargeError(
            f"The metadata have {size} bytes; {MAX_METADATA_BYTES} are allowed."
        )
    return metadata


def quoted(etag: str) -> str:
    """Return an ETag as it travels."""
    return f'"{etag}"'


def checksum_members(checksums: Mapping[str, str]) -> dict[str, str]:
    """Return checksums as members of an answer."""
    members = {f"Checksum{algorithm}": value for algorithm, value in checksums.items()}
    if members:
        composite = any("-" in value for value in checksums.values())
        members["ChecksumType"] = "COMPOSITE" if composite else "FULL_OBJECT"
    return members


def object_members(version: FileVersion, metadata: ObjectMetadata) -> dict[str, Any]:
    """Return what is members of an object along with its content."""
    headers: dict[str, Any] = {"ContentType": DEFAULT_TYPE, **without_tags(metadata.headers)}
    if "Expires" in headers:
        headers["Expires"] = datetime.fromisoformat(headers["Expires"])
    return {
        **headers,
        "AcceptRanges": "bytes",
        "ETag": quoted(metadata.etag),
        "LastModified": version.modified_at,
        "Metadata": dict(metadata.metadata),
        "TagCount": tag_count(metadata.headers),
    }
