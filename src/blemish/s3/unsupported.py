"""Members that are refused because they are not supported, instead of being ignored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any

from botocore import xform_name

from blemish.domain.entities import ObjectRef
from blemish.domain.manifest import MAX_KEY_BYTES
from blemish.s3.protocol import errors as s3_errors
from blemish.s3.service_model import s3_model
from blemish.storage.errors import (
    BucketExistsError,
    BucketMissingError,
    BucketNameError,
    BucketNotEmptyError,
    KeyNotAllowedError,
    ObjectMissingError,
)

MEANINGLESS = frozenset(
    {"checksum_algorithm", "checksum_mode", "content_length", "content_md5", "request_payer"}
)
"""Members that the protocol handles, or that have no effect here."""

USUAL: Mapping[str, frozenset[object]] = {
    "acl": frozenset({"private", "bucket-owner-full-control"}),
    "bucket_key_enabled": frozenset({False}),
    "object_lock_enabled_for_bucket": frozenset({False}),
    "object_ownership": frozenset({"BucketOwnerEnforced"}),
    "storage_class": frozenset({"STANDARD"}),
    "version_id": frozenset({"null"}),
}
"""Values that change nothing here, by member."""

SECRET = frozenset({"sse_customer_key", "copy_source_sse_customer_key", "mfa"})
"""Members whose values no message repeats."""

FORWARDED = "x-amz-fwd-header-"
"""How headers begin that S3 Object Lambda alone sends."""


def refuse_unsupported(members: Mapping[str, Any]) -> None:
    """Refuse members that would change something which this server cannot.

    Raises:
        UnsupportedError: there is one.
    """
    for name, value in members.items():
        if name in MEANINGLESS or name.startswith("checksum_") or value in USUAL.get(name, ()):
            continue
        raise s3_errors.UnsupportedError(
            f"{_sent_as(name, value)} is not supported by this server. {_remedy(name)}"
        )


def _sent_as(name: str, value: object) -> str:
    """Return the member as the request has it, without keys and documents."""
    sent_name = _sent_names().get(name, name)
    if name in SECRET or not isinstance(value, str | int):
        return sent_name
    text = str(value).lower() if isinstance(value, bool) else value
    return f"{sent_name}: {text!s:.100}"


def _remedy(name: str) -> str:
    usual = sorted(
        str(value).lower() if value is False else str(value) for value in USUAL.get(name, ())
    )
    return f"Use {' or '.join(usual)}, or leave it out." if usual else "Leave it out."


@cache
def _sent_names() -> Mapping[str, str]:
    """Return the names of headers and query parameters by member, as clients of S3 send them."""
    model = s3_model()
    shapes = [model.operation_model(name).input_shape for name in model.operation_names]
    return {
        xform_name(member): shape.serialization.get("name", member)
        for input_shape in shapes
        if input_shape
        for member, shape in input_shape.members.items()
        if not shape.serialization.get("name", "").startswith(FORWARDED)
    }


def s3_ref(bucket: str, key: str) -> ObjectRef:
    """Return an object's address.

    Raises:
        KeyTooLongError: no key is as long.
    """
    if (size := len(key.encode(errors="replace"))) > MAX_KEY_BYTES:
        raise s3_errors.KeyTooLongError(
            f"{key!r:.300} has {size} bytes; a key has {MAX_KEY_BYTES} at most."
        )
    return ObjectRef(bucket=bucket, key=key)


def owner_checked(
    handler: Callable[..., dict[str, Any]], *, owner: str
) -> Callable[..., dict[str, Any]]:
    """Return a handler that refuses requests which expect another owner of a bucket."""

    @wraps(handler)
    def checked(**members: Any) -> dict[str, Any]:
        for name in ("expected_bucket_owner", "expected_source_bucket_owner"):
            expected = members.pop(name, owner)
            if expected != owner:
                raise s3_errors.S3AccessDeniedError(
                    f"The account {expected!r:.100} does not own the bucket; {owner} does."
                )
        return handler(**members)

    return checked


@contextmanager
def as_s3_errors() -> Iterator[None]:
    """Turn the errors of storage that a client can mend into those of S3."""
    try:
        yield
    except BucketMissingError as error:
        raise s3_errors.NoSuchBucketError(str(error)) from error
    except BucketExistsError as error:
        raise s3_errors.BucketAlreadyOwnedByYouError(str(error)) from error
    except BucketNameError as error:
        raise s3_errors.InvalidBucketNameError(str(error)) from error
    except BucketNotEmptyError as error:
        raise s3_errors.S3BucketNotEmptyError(str(error)) from error
    except ObjectMissingError as error:
        raise s3_errors.NoSuchKeyError(str(error)) from error
    except KeyNotAllowedError as error:
        raise s3_errors.InvalidArgumentError(str(error)) from error
