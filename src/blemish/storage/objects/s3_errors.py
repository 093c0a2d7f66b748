"""What an S3 says in its errors; obstore gives it only in the text of its exceptions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError

from blemish.domain.entities import ObjectRef
from blemish.storage.errors import VersionMissingError

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


def distrust(error: BaseError) -> str | None:
    """Return why the certificate of the store is not trusted, in a word; None if it is."""
    match = _UNTRUSTED.search(str(error))
    return match[1] if match else None


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
