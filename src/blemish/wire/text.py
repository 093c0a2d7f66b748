"""Members as text: in the path, in the query, in headers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from botocore.model import Shape

from blemish.wire.errors import SerializationError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

INTEGER_BITS = {"integer": 32, "long": 64}
"""Source: Smithy, "Simple types"."""

_INTEGER = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][-+]?[0-9]{1,3})?")


def read_text(shape: Shape, text: str, *, name: str) -> Any:
    """Return the value of a text; errors call it `name`.

    Raises:
        SerializationError: the text is not of the shape's type.
    """
    match shape.type_name:
        case "string":
            return checked_unicode(text, name=name)
        case "boolean" if text in {"true", "false"}:
            return text == "true"
        case "integer" | "long" if _INTEGER.fullmatch(text):
            return checked_integer(int(text), shape, name=name)
        case "float" | "double" if _NUMBER.fullmatch(text):
            return float(text)
        case "timestamp":
            return read_timestamp(text, name=name)
    raise SerializationError(f"{name} must be of type {shape.type_name}.")


def write_text(shape: Shape, value: Any, *, timestamps: str = "rfc822") -> str:
    """Return the text of a header or, with timestamps in `iso8601`, of an XML element."""
    match shape.type_name:
        case "boolean":
            return "true" if value else "false"
        case "timestamp" if shape.serialization.get("timestampFormat", timestamps) == "iso8601":
            return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"
        case "timestamp":
            return format_datetime(value.astimezone(UTC), usegmt=True)
        case _:
            return str(value)


def checked_unicode(text: str, *, name: str) -> str:
    """Return a text that is sound Unicode, and that every database takes.

    Raises:
        SerializationError: half a surrogate pair is in it, a byte that is no UTF-8, or a NUL.
    """
    if "\0" in text:
        raise SerializationError(f"{name} has a NUL character (U+0000), which no text may have.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise SerializationError(f"{name} is not a Unicode text.") from None
    return text


def checked_integer(number: int, shape: Shape, *, name: str) -> int:
    """Return a number that its type can hold.

    Raises:
        SerializationError: it has too many bits.
    """
    bits = INTEGER_BITS[shape.type_name]
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise SerializationError(f"{name} must be an integer of {bits} bits.")
    return number


def read_timestamp(value: str | float, *, name: str) -> datetime:
    """Return the moment given as seconds since 1970, ISO 8601 or in the form of HTTP headers.

    Raises:
        SerializationError: it is none of these, or no moment of our calendar.
    """
    for read in (_seconds, _iso_8601, parsedate_to_datetime):
        try:
            return in_utc(read(str(value)))
        except (ValueError, OverflowError):
            continue
    raise SerializationError(f"{name} must be a timestamp.")


def in_utc(moment: datetime) -> datetime:
    """Convert a moment to UTC; without a time zone it counts as UTC.

    Raises:
        OverflowError: the moment in UTC is out of range.
    """
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _seconds(text: str) -> datetime:
    return EPOCH + timedelta(seconds=float(text))


def _iso_8601(text: str) -> datetime:
    return datetime.fromisoformat(text)
