"""Members that are refused because they are not supported, instead of being ignored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

from blemish.domain.entities import ObjectRef
from blemish.s3.protocol import errors as s3_errors
from blemish.storage.errors import (
    BucketExistsError,
    BucketMissingError,
    BucketNameError,
    BucketNotEmptyError,
    KeyNotAllowedError,
    ObjectMissingError,
)
from blemish.storage.objects.names import MAX_KEY_BYTES

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


def refuse_unsupported(members: Mapping[str, Any]) -> None:
    """Refuse members that would change something which this server cannot.

    Raises:
        UnsupportedError: there is one.
    """
    for name, value in members.items():
        if name in MEANINGLESS or name.startswith("checksum_") or value in USUAL.get(name, ()):
            continue
        raise s3_errors.UnsupportedError(f"{name} is not supported by this server.")


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
