"""The members of a call in the audit log: shortened, without images and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""CloudTrail's text for members that the service model marks as sensitive."""

MAX_ITEMS = 20
"""Longest list or map; of a longer one, only the length is recorded."""

MAX_CHARACTERS = 1_024

_RENAMED = {"Bucket": "bucketName"}


def recorded_members(shape: StructureShape | None, members: Mapping[str, Any]) -> dict[str, Any]:
    """Return members by CloudTrail's names, which begin with a lower-case letter."""
    known = shape.members if shape else {}
    return {
        _RENAMED.get(name, name[:1].lower() + name[1:]): _recorded(known[name], value)
        for name, value in members.items()
        if name in known and value is not None
    }


def without_headers(shape: StructureShape, members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of path and query, and the source of a copy.

    Headers and bodies of S3 hold content or secrets.
    """
    return {
        name: value
        for name, value in members.items()
        if name == "CopySource"
        or (name in shape.members and _location(shape.members[name]) in {"uri", "querystring"})
    }


def shortened(text: str) -> str:
    """Return a text, shortened if it is too long."""
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS] + "…"


def time_text(at: datetime) -> str:
    """Return a time in CloudTrail's format."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _location(shape: Shape) -> str | None:
    location: str | None = shape.serialization.get("location")
    return location


def _recorded(shape: Shape, value: Any) -> Any:
    if shape.metadata.get("sensitive"):
        return HIDDEN
    match value:
        case bool() | int() | float():
            return value
        case datetime():
            return time_text(value)
        case str() if shape.type_name != "blob":
            return shortened(value)
        case bytes() | str():
            return f"{len(value)} bytes"
        case list() | Mapping():
            return _recorded_many(shape, value)
        case _:
            return None


def _recorded_many(shape: Shape, value: list[Any] | Mapping[str, Any]) -> Any:
    if len(value) > MAX_ITEMS:
        return f"{len(value)} items"
    match shape, value:
        case ListShape(), list():
            return [_recorded(shape.member, item) for item in value]
        case StructureShape(), Mapping():
            return recorded_members(shape, value)
        case MapShape(), Mapping():
            return {shortened(key): _recorded(shape.value, member) for key, member in value.items()}
        case _:
            return None
