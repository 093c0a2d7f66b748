"""The permissions that each operation of S3 needs.

Source: Amazon S3 User Guide, "Required permissions for Amazon S3 API operations".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import Any

from blemish.domain.access.authorization import (
    Circumstances,
    Wanted,
    authorize,
    authorize_action,
    denial,
)
from blemish.domain.access.principals import Principal
from blemish.s3.objects import source_ref
from blemish.wire.calls import Call


class About(Enum):
    """The kind of resource that an operation is about."""

    BUCKETS = auto()
    BUCKET = auto()
    OBJECT = auto()
    #: several, each checked by itself
    OBJECTS = auto()


ACTIONS: Mapping[str, tuple[str, About]] = {
    "AbortMultipartUpload": ("AbortMultipartUpload", About.OBJECT),
    "CompleteMultipartUpload": ("PutObject", About.OBJECT),
    "CopyObject": ("PutObject", About.OBJECT),
    "CreateBucket": ("CreateBucket", About.BUCKET),
    "CreateMultipartUpload": ("PutObject", About.OBJECT),
    "DeleteBucket": ("DeleteBucket", About.BUCKET),
    "DeleteObject": ("DeleteObject", About.OBJECT),
    "DeleteObjectTagging": ("DeleteObjectTagging", About.OBJECT),
    "DeleteObjects": ("DeleteObject", About.OBJECTS),
    "GetBucketLocation": ("GetBucketLocation", About.BUCKET),
    "GetBucketVersioning": ("GetBucketVersioning", About.BUCKET),
    "GetObject": ("GetObject", About.OBJECT),
    "GetObjectTagging": ("GetObjectTagging", About.OBJECT),
    "HeadBucket": ("ListBucket", About.BUCKET),
    "HeadObject": ("GetObject", About.OBJECT),
    "ListBuckets": ("ListAllMyBuckets", About.BUCKETS),
    "ListMultipartUploads": ("ListBucketMultipartUploads", About.BUCKET),
    "ListObjects": ("ListBucket", About.BUCKET),
    "ListObjectsV2": ("ListBucket", About.BUCKET),
    "ListParts": ("ListMultipartUploadParts", About.OBJECT),
    "PutObject": ("PutObject", About.OBJECT),
    "PutObjectTagging": ("PutObjectTagging", About.OBJECT),
    "UploadPart": ("PutObject", About.OBJECT),
    "UploadPartCopy": ("PutObject", About.OBJECT),
}
"""Operation -> the action, without `s3:`, and what it is about."""

READING = "s3:GetObject"
TAGGING = "s3:PutObjectTagging"
OF_EXISTING_OBJECTS = frozenset({READING, TAGGING, "s3:GetObjectTagging", "s3:DeleteObjectTagging"})
"""Who may not list a bucket does not learn by reading that an object is missing.

Source: Amazon S3 API Reference, "GetObject", permissions.
"""

_KEYS = {"Delimiter": "s3:delimiter", "MaxKeys": "s3:max-keys", "Prefix": "s3:prefix"}
"""Members of the operations that list, and the condition keys that they are."""


def s3_action_gate(principal: Principal, operation: str) -> None:
    """Refuse a principal who may not carry out an operation of S3 on anything.

    Raises:
        AccessDeniedError: its policy does not allow it.
    """
    name, _ = ACTIONS[operation]
    authorize_action(principal, f"s3:{name}")


def s3_gate(call: Call) -> None:
    """Accept a call if its caller has the permissions.

    Of several objects, those that it may not are noted in the call.

    Raises:
        AccessDeniedError: the policy of its caller does not allow it.
        S3Error: it names no object to copy.
    """
    assert call.caller is not None
    assert call.operation is not None
    principal, members = call.caller.principal, call.members
    circumstances = Circumstances(at=call.received_at, source_ip=call.source_ip, secure=call.secure)
    name, about = ACTIONS[call.operation]
    if about is About.OBJECTS:
        for key in dict.fromkeys(_keys_of(members)):
            wanted = Wanted(action=f"s3:{name}", resource=_arn(members["Bucket"], key))
            if problem := denial(principal, wanted, circumstances):
                call.refused[key] = problem
        return
    for wanted in _wanted(f"s3:{name}", about, members):
        authorize(principal, wanted, circumstances)
        if wanted.action in OF_EXISTING_OBJECTS:
            call.concealment = denial(principal, _listing(wanted), circumstances)


def _wanted(action: str, about: About, members: Mapping[str, Any]) -> Iterator[Wanted]:
    match about:
        case About.BUCKETS:
            yield Wanted(action=action, resource=_arn("*"))
        case About.BUCKET:
            keys = {key: (str(members[name]),) for name, key in _KEYS.items() if name in members}
            yield Wanted(action=action, resource=_arn(members["Bucket"]), keys=keys)
        case _:
            yield Wanted(action=action, resource=_arn(members["Bucket"], members["Key"]))
    if isinstance(members.get("Tagging"), str):  # the header of an upload
        yield Wanted(action=TAGGING, resource=_arn(members["Bucket"], members["Key"]))
    if "CopySource" in members:
        source = source_ref(members["CopySource"])
        yield Wanted(action=READING, resource=_arn(source.bucket, source.key))


def _listing(reading: Wanted) -> Wanted:
    """Return the permission to list the bucket, which shows as well whether an object exists."""
    return Wanted(action="s3:ListBucket", resource=reading.resource.partition("/")[0])


def _keys_of(members: Mapping[str, Any]) -> Iterator[str]:
    for entry in members["Delete"].get("Objects", ()):
        yield entry.get("Key", "")


def _arn(bucket: str, key: str | None = None) -> str:
    return f"arn:aws:s3:::{bucket}" if key is None else f"arn:aws:s3:::{bucket}/{key}"
