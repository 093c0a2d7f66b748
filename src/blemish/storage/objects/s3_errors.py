"""What an S3 says in its errors; obstore gives it only in the text of its exceptions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, PreconditionError, UnauthenticatedError

from blemish.domain.entities import ObjectRef
from blemish.storage.errors import (
    ObjectReadError,
    StoreCredentialsError,
    StoreUnavailableError,
    StoreWriteError,
    VersionMissingError,
)
from blemish.storage.objects.s3_address import S3Address

NO_SUCH_VERSION = frozenset({"InvalidArgument", "MethodNotAllowed"})
"""Codes for an impossible version id, and for one of a deletion.

Source: S3 user guide, "Deleting object versions"; an unknown but possible id is NoSuchVersion.
"""

_CODE = re.compile(r"<Code>(\w+)</Code>")
_UNTRUSTED = re.compile(r"InvalidCertificate\(\s*(\w+)")
_STATUS = re.compile(r"non-2xx status code: (\d{3})")


def error_code(error: BaseError) -> str | None:
    """Return the error code of S3; an answer to HEAD has none."""
    match = _CODE.search(str(error))
    return match[1] if match else None


def error_status(error: BaseError) -> str | None:
    """Return the status of HTTP; None if there was no answer, or a redirection."""
    match = _STATUS.search(str(error))
    return match[1] if match else None


@contextmanager
def clear_store_errors(
    address: S3Address, name: str, done: str, refused: type[ObjectReadError | StoreWriteError]
) -> Iterator[None]:
    """Turn errors of obstore into errors that say what cannot be done, and why.

    Args:
        address: of the store.
        name: of what cannot be used; it begins the message.
        done: what was to be done with it, as a participle.
        refused: the error if the store denies it.

    Raises:
        ObjectError: the store denies it, fails or does not answer.
    """
    try:
        yield
    except PreconditionError as error:
        raise ObjectReadError(f"{name} was changed while it was read.") from error
    except BaseError as error:
        status = error_status(error)
        if isinstance(error, UnauthenticatedError) and status is None:
            raise StoreCredentialsError(
                f"{name} cannot be {done}: the credentials for the store cannot be had."
            ) from error
        if status is None and "redirect" in str(error):
            raise refused(
                f"{name} cannot be {done}: it is not in the region {address.region}."
            ) from error
        if status is None or status.startswith("5"):
            reason = "fails" if status else f"cannot be reached{_distrust(error)}"
            raise StoreUnavailableError(
                f"{name} cannot be {done}: the store at {address.endpoint} {reason}."
            ) from error
        reason = error_code(error) or f"status {status}"
        raise refused(
            f"{name} cannot be {done} (the store at {address.endpoint} says: {reason})."
        ) from error


def _distrust(error: BaseError) -> str:
    """Return the end of a sentence: why the certificate of the store is not trusted, if so."""
    match = _UNTRUSTED.search(str(error))
    return f", since its certificate is not trusted ({match[1]})" if match else ""


@contextmanager
def version_errors(ref: ObjectRef, version: str | None) -> Iterator[None]:
    """Turn the answers to a version that does not exist into an error.

    Raises:
        VersionMissingError: there is no such version.
    """
    try:
        yield
    except BaseError as error:
        if version is not None and error_code(error) in NO_SUCH_VERSION:
            raise VersionMissingError(ref, version) from error
        raise
