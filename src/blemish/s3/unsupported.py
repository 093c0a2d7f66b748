"""What is refused because it is not offered: never taken and ignored, never answered wrongly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
"""Members that the protocol has dealt with, or that ask for nothing here."""

USUAL: Mapping[str, frozenset[object]] = {
    "acl": frozenset({"private", "bucket-owner-full-control"}),
    "object_lock_enabled_for_bucket": frozenset({False}),
    "object_ownership": frozenset({"BucketOwnerEnforced"}),
    "storage_class": frozenset({"STANDARD"}),
    "tagging_directive": frozenset({"COPY"}),
    "version_id": frozenset({"null"}),
}
"""Members that may say what is so anyway."""


def refuse_unsupported(members: Mapping[str, Any]) -> None:
    """Refuse members that ask for more than there is.

    Raises:
        UnsupportedError: one does.
    """
    for name, value in members.items():
        if name in MEANINGLESS or name.startswith("checksum_") or value in USUAL.get(name, ()):
            continue
        raise s3_errors.UnsupportedError(f"{name} is not offered by this server.")


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


@contextmanager
def as_s3_errors() -> Iterator[None]:
    """Say in S3's words what storage refuses. Faults of the disk are nobody's business here."""
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
