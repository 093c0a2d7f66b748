"""Operations on single objects."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import unquote

from botocore import xform_name

from blemish.domain.entities import ObjectRef
from blemish.s3.background_digest import BackgroundDigest
from blemish.s3.conditions import ReadConditions, requested_range, write_check
from blemish.s3.folder_markers import FolderMarker
from blemish.s3.object_headers import (
    RETURNED_HEADERS,
    checksum_members,
    encryption_member,
    object_members,
    pop_headers,
    pop_metadata,
    quoted,
)
from blemish.s3.object_tags import check_copied_tags, tags_only, without_tags
from blemish.s3.protocol.checksums import CopyChecksums, check_algorithm
from blemish.s3.protocol.errors import (
    InvalidArgumentError,
    InvalidRequestError,
    MalformedXMLError,
    S3AccessDeniedError,
    S3Error,
)
from blemish.s3.stored_objects import (
    Readable,
    StoredObjects,
    derived_etag,
    hashed_body,
    hashed_content,
)
from blemish.s3.unsupported import as_s3_errors, refuse_unsupported, s3_ref
from blemish.storage.objects.streams import FileVersion, OpenObject
from blemish.storage.rows.object_metadata import ObjectMetadata
from blemish.wire.calls import Call

MAX_DELETED = 1_000
"""Objects of one DeleteObjects. Source: Amazon S3 API Reference, "DeleteObjects"."""

_CONDITIONS = ("if_match", "if_none_match", "if_modified_since", "if_unmodified_since")


class ObjectOperations:
    """Puts, gets, copies and deletes objects."""

    def __init__(self, objects: StoredObjects) -> None:
        self._objects = objects

    def put_object(
        self,
        *,
        bucket: str,
        key: str,
        body: Readable | None = None,
        if_match: str | None = None,
        if_none_match: str | None = None,
        **others: Any,
    ) -> dict[str, Any]:
        ref = s3_ref(bucket, key)
        headers, user_metadata = pop_headers(others), pop_metadata(others)
        refuse_unsupported(others)
        md5 = BackgroundDigest(hashlib.md5(usedforsecurity=False))
        _, metadata = self._objects.put(
            ref,
            hashed_body(body, md5),
            describe=lambda: ObjectMetadata(
                etag=md5.hexdigest(),
                headers=headers,
                metadata=user_metadata,
                checksums=dict(body.checksums) if body is not None else {},
            ),
            check=write_check(if_match, if_none_match),
        )
        return {
            "ETag": quoted(metadata.etag),
            **checksum_members(metadata.checksums),
            **encryption_member(headers),
        }

    def get_object(self, *, bucket: str, key: str, **others: Any) -> dict[str, Any]:
        opened, output, span = self._opened(bucket, key, others)
        start, end = span or (0, opened.version.size_bytes)
        return output | {"Body": opened.content(start, end)}

    def head_object(self, *, bucket: str, key: str, **others: Any) -> dict[str, Any]:
        opened, output, _ = self._opened(bucket, key, others)
        opened.close()
        return output

    def delete_object(
        self, *, bucket: str, key: str, if_match: str | None = None, **others: Any
    ) -> dict[str, Any]:
        refuse_unsupported(others)
        self._objects.delete(s3_ref(bucket, key), check=write_check(if_match, None))
        return {}

    def delete_objects(
        self, *, bucket: str, delete: Any, call: Call | None = None, **others: Any
    ) -> dict[str, Any]:
        refuse_unsupported(others)
        wanted = delete.get("Objects", [])
        if not 1 <= len(wanted) <= MAX_DELETED:
            raise MalformedXMLError(f"There must be 1 to {MAX_DELETED} objects to delete.")
        refused = call.refused if call else {}
        if any(entry.get("Key", "") not in refused for entry in wanted):
            self._objects.check_bucket(bucket)  # nobody else learns whether there is one
        deleted, errors = [], []
        for entry in wanted:
            rest = {xform_name(name): value for name, value in entry.items()}
            key = rest.pop("key", "")
            try:
                if key in refused:
                    raise S3AccessDeniedError(refused[key])
                with as_s3_errors():
                    self.delete_object(
                        bucket=bucket, key=key, if_match=rest.pop("e_tag", None), **rest
                    )
                deleted.append({"Key": key})
            except S3Error as error:
                errors.append({"Key": key, "Code": error.code, "Message": error.message})
        return {"Deleted": [] if delete.get("Quiet") else deleted, "Errors": errors}

    def copy_object(
        self,
        *,
        bucket: str,
        key: str,
        copy_source: str,
        checksum_algorithm: str | None = None,
        metadata_directive: str = "COPY",
        tagging_directive: str = "COPY",
        **others: Any,
    ) -> dict[str, Any]:
        ref, source = s3_ref(bucket, key), source_ref(copy_source)
        conditions = pop_source_conditions(others)
        replaced = metadata_directive == "REPLACE"
        tags_replaced = tagging_directive == "REPLACE"
        check_copied_tags(others, replaced=tags_replaced)
        headers, user_metadata = pop_headers(others), pop_metadata(others)
        refuse_unsupported(others)
        check_algorithm(checksum_algorithm)
        opened, metadata = open_source(self._objects, source, conditions)
        md5 = BackgroundDigest(hashlib.md5(usedforsecurity=False))
        checksums = CopyChecksums(metadata.checksums, algorithm=checksum_algorithm)
        try:
            if ref == source and not replaced and not encryption_member(headers):
                raise InvalidRequestError("A copy onto itself must replace the metadata.")
            version, copied = self._objects.put(
                ref,
                hashed_content(opened.content(), md5, checksums),
                describe=lambda: ObjectMetadata(
                    etag=md5.hexdigest(),
                    headers={
                        **without_tags(headers if replaced else metadata.headers),
                        **encryption_member(headers),
                        **tags_only(headers if tags_replaced else metadata.headers),
                    },
                    metadata=user_metadata if replaced else metadata.metadata,
                    checksums=checksums.values(),
                ),
            )
        finally:
            opened.close()
        result = copy_members(version, copied.etag) | checksum_members(copied.checksums)
        return {"CopyObjectResult": result, **encryption_member(copied.headers)}

    def _opened(
        self, bucket: str, key: str, members: dict[str, Any]
    ) -> tuple[OpenObject | FolderMarker, dict[str, Any], tuple[int, int] | None]:
        """Open an object that is to be output of; return it, what is output, and the range."""
        conditions = ReadConditions(**{name: members.pop(name, None) for name in _CONDITIONS})
        wanted, mode = members.pop("range", None), members.pop("checksum_mode", None)
        instead = {
            name: members.pop(xform_name(f"Response{name}"), None) for name in RETURNED_HEADERS
        }
        refuse_unsupported(members)
        opened, metadata = self._objects.open(s3_ref(bucket, key))
        try:
            version = opened.version
            conditions.check({metadata.etag, derived_etag(key, version)}, version.modified_at)
            span = requested_range(wanted, version.size_bytes)
        except BaseException:
            opened.close()
            raise
        output = object_members(version, metadata) | {"ContentLength": version.size_bytes}
        output |= {name: value for name, value in instead.items() if value is not None}
        if span:
            start, end = span
            output["StatusCode"] = 206
            output["ContentLength"] = end - start
            output["ContentRange"] = f"bytes {start}-{end - 1}/{version.size_bytes}"
        elif mode == "ENABLED":
            output |= checksum_members(metadata.checksums)
        return opened, output, span


def source_ref(copy_source: str) -> ObjectRef:
    """Return the object that a request to copy names.

    Raises:
        InvalidArgumentError: it names none.
        UnsupportedError: it names a version.
    """
    path, _, version = copy_source.removeprefix("/").partition("?versionId=")
    refuse_unsupported({"version_id": version} if version else {})
    bucket, slash, key = unquote(path).partition("/")
    if not slash or not key:
        raise InvalidArgumentError(f"Copy Source must be bucket/key, not {copy_source!r:.300}.")
    return s3_ref(bucket, key)


def pop_source_conditions(members: dict[str, Any]) -> ReadConditions:
    """Take the conditions on what is copied out of the members of a request."""
    return ReadConditions(
        **{name: members.pop(f"copy_source_{name}", None) for name in _CONDITIONS}
    )


def open_source(
    objects: StoredObjects, source: ObjectRef, conditions: ReadConditions
) -> tuple[OpenObject | FolderMarker, ObjectMetadata]:
    """Open an object that is to be copied.

    Raises:
        PreconditionFailedError: it is not to be copied.
        ObjectError: what `StoredObjects.open` raises.
    """
    opened, metadata = objects.open(source)
    try:
        etags = {metadata.etag, derived_etag(source.key, opened.version)}
        conditions.check_copy(etags, opened.version.modified_at)
    except BaseException:
        opened.close()
        raise
    return opened, metadata


def copy_members(version: FileVersion, etag: str) -> dict[str, Any]:
    """Return what is output of a copy."""
    return {"ETag": quoted(etag), "LastModified": version.modified_at}
