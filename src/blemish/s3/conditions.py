"""Conditions and ranges of requests, as HTTP and S3 define them.

Source: RFC 9110, sections 13 and 14; Amazon S3 User Guide, "Conditional requests".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from blemish.s3.protocol.errors import (
    InvalidArgumentError,
    InvalidRangeError,
    NoSuchKeyError,
    NotModifiedError,
    PreconditionFailedError,
    UnsupportedError,
)

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_COPIED_RANGE = re.compile(r"bytes=([0-9]{1,18})-([0-9]{1,18})")


@dataclass(frozen=True, kw_only=True)
class ReadConditions:
    """When a read is to be carried out."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: datetime | None = None
    if_unmodified_since: datetime | None = None

    def check(self, etags: Collection[str], modified_at: datetime) -> None:
        """Go on if an object with these ETags, any of which may be meant, is to be read.

        Raises:
            PreconditionFailedError: it is not the one that is wanted.
            NotModifiedError: it is one that the client has.
        """
        if self.if_match is not None:
            fails = not _names(self.if_match, etags)
        else:
            fails = self.if_unmodified_since is not None and modified_at > self.if_unmodified_since
        if fails:
            raise PreconditionFailedError("The object is not the one that the request is about.")
        if self.if_none_match is not None:
            same = _names(self.if_none_match, etags)
        else:
            same = self.if_modified_since is not None and modified_at <= self.if_modified_since
        if same:
            raise NotModifiedError("The object is the one that the client has.")

    def check_copy(self, etags: Collection[str], modified_at: datetime) -> None:
        """Go on if such an object is to be copied: there is no 304 for that.

        Raises:
            PreconditionFailedError: it is not.
        """
        try:
            self.check(etags, modified_at)
        except NotModifiedError as error:
            raise PreconditionFailedError("The object to copy is not to be copied.") from error


def write_check(
    if_match: str | None, if_none_match: str | None
) -> Callable[[str | None], None] | None:
    """Return a check of the ETag of the existing object (None: there is no object).

    It raises NoSuchKeyError and PreconditionFailedError.

    Raises:
        UnsupportedError: only absence can be demanded by If-None-Match.
    """
    if if_none_match not in {None, "*"}:
        raise UnsupportedError("If-None-Match of a write can only be *.")
    if if_match is None and if_none_match is None:
        return None

    def check(etag: str | None) -> None:
        if if_none_match and etag is not None:
            raise PreconditionFailedError("There is an object with this key already.")
        if if_match is not None:
            if etag is None:
                raise NoSuchKeyError("There is no object with this key.")
            if not _names(if_match, {etag}):
                raise PreconditionFailedError("The object is not the one that was to be changed.")

    return check


def requested_range(text: str | None, size_bytes: int) -> tuple[int, int] | None:
    """Return the first byte of a range and the one after the last; None for the whole object.

    A text that is no range of bytes, or several ranges, is ignored.

    Raises:
        InvalidRangeError: nothing of the object lies in it.
    """
    match = _RANGE.fullmatch((text or "").strip())
    if not match or match[0].endswith("=-"):
        return None
    first, last = match[1], match[2]
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(int(last) + 1 if last else size_bytes, size_bytes)
        if last and int(last) < int(first):
            return None
    if start >= end:
        raise InvalidRangeError(
            f"The range {text} is not satisfiable.",
            details={"RangeRequested": str(text), "ActualObjectSize": str(size_bytes)},
        )
    return start, end


def copied_range(text: str | None, size_bytes: int) -> tuple[int, int]:
    """Return the first byte of what is copied and the one after the last; without a text, of all.

    A copy of too long a range is refused; a read of one returns less.

    Raises:
        InvalidArgumentError: it is no range, or not all of it lies within the object.
    """
    if not text:
        return 0, size_bytes
    match = _COPIED_RANGE.fullmatch(text)
    if not match or int(match[1]) > int(match[2]):
        raise InvalidArgumentError(f"The range {text!r:.300} must be bytes=first-last.")
    start, end = int(match[1]), int(match[2]) + 1
    if end > size_bytes:
        raise InvalidArgumentError(
            f"Range specified is not valid for source object of size: {size_bytes}"
        )
    return start, end


def _names(header: str, etags: Collection[str]) -> bool:
    names = {name.strip().removeprefix("W/").strip('"') for name in header.split(",")}
    return "*" in names or not names.isdisjoint(etags)
