"""Members as a JSON document: the body of rest-json."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from botocore.model import ListShape, Shape, StructureShape

from blemish.wire.errors import SerializationError
from blemish.wire.text import checked_integer, checked_unicode, read_timestamp

MAX_ELEMENTS = 250_000
"""Of a document. The largest of the API's own names 100,000 images."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


def check_elements(body: bytes) -> None:
    """Refuse a JSON document of too many elements, before memory is taken for them.

    An element of two bytes takes a hundred times as much memory when it is parsed.

    Raises:
        SerializationError: it has too many.
    """
    if (
        _element_count(body) > MAX_ELEMENTS
        and _element_count(_STRING.sub(b"", body)) > MAX_ELEMENTS
    ):
        raise SerializationError(f"The body has more than {MAX_ELEMENTS:,} elements.")


def _element_count(text: bytes) -> int:
    """Return how many elements a document has at most; those in strings count, too."""
    return sum(text.count(mark) for mark in (b",", b"[", b"{"))


def parse_json(body: bytes) -> dict[str, Any]:
    """Return the object that a body holds; no body is an empty object.

    Raises:
        SerializationError: it is not JSON, has too many elements, or is another value than an
            object.
    """
    check_elements(body)
    try:
        document = json.loads(body, parse_constant=_refuse_constant) if body else {}
    except (ValueError, RecursionError):
        raise SerializationError("The body is not valid JSON.") from None
    if not isinstance(document, dict):
        raise SerializationError("The body must be a JSON object.")
    return document


def from_json(shape: Shape, value: Any, *, name: str) -> Any:
    """Convert a JSON value to the shape's type.

    Members that the shape does not know and members that are null are left out, as AWS does.

    Raises:
        SerializationError: the value, or one inside it, is not of the shape's type.
    """
    match shape:
        case StructureShape() if isinstance(value, dict):
            return members_from_json(shape.members, value, name=name)
        case ListShape() if isinstance(value, list):
            return [
                from_json(shape.member, item, name=f"{name}[{index}]")
                for index, item in enumerate(value)
            ]
        case Shape(type_name="string") if isinstance(value, str):
            return checked_unicode(value, name=name)
        case Shape(type_name="blob") if isinstance(value, str):
            return _from_base64(value, name=name)
        case Shape(type_name="boolean") if isinstance(value, bool):
            return value
        case Shape(type_name="integer" | "long") if type(value) is int:
            return checked_integer(value, shape, name=name)
        case Shape(type_name="float" | "double") if type(value) in {int, float}:
            return _float(value, name=name)
        case Shape(type_name="timestamp") if type(value) in {int, float, str}:
            return read_timestamp(value, name=name)
    raise SerializationError(f"{name} must be of type {shape.type_name}.")


def members_from_json(
    members: Mapping[str, Shape], document: Mapping[str, Any], *, name: str = ""
) -> dict[str, Any]:
    """Return the members of a structure that an object has.

    Raises:
        SerializationError: one is not of its type.
    """
    prefix = f"{name}." if name else ""
    return {
        member_name: from_json(member, value, name=f"{prefix}{member_name}")
        for member_name, member in members.items()
        if (value := document.get(member.serialization.get("name", member_name))) is not None
    }


def to_json(shape: Shape, value: Any) -> Any:
    """Return the JSON value of a member; `None` inside a structure counts as absent.

    Raises:
        ValueError: a structure has a member that its shape does not know.
    """
    match shape.type_name:  # by name, since a list may have thousands of values
        case "structure":
            return members_to_json(shape.members, value)
        case "list":
            return [to_json(shape.member, item) for item in value]
        case "blob":
            return base64.b64encode(value).decode("ascii")
        case "timestamp":
            return round(value.timestamp(), 3)
        case _:
            return value


def members_to_json(members: Mapping[str, Shape], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON object of a structure.

    Raises:
        ValueError: there is a value that no member has the name of.
    """
    if unknown := values.keys() - members.keys():
        raise ValueError(f"the service model does not know {sorted(unknown)}")
    return {
        member.serialization.get("name", name): to_json(member, values[name])
        for name, member in members.items()
        if values.get(name) is not None
    }


def _from_base64(text: str, *, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise SerializationError(f"{name} must be encoded as base64.") from None


def _float(number: float, *, name: str) -> float:
    try:
        return float(number)
    except OverflowError:
        raise SerializationError(f"{name} is too large a number.") from None


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(text)
