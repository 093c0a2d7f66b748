"""The members of a request or an answer outside of the body.

A member's location says where: `uri`, `querystring` and `header` as one text each, `headers` as a
map whose keys follow a common prefix.

Source: Smithy, "HTTP binding traits".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote

from botocore.model import ListShape, OperationModel, Shape, StructureShape

from blemish.wire.errors import SerializationError
from blemish.wire.messages import HttpRequest
from blemish.wire.routing import uri_labels
from blemish.wire.text import read_text, write_text


def bound_members(
    operation: OperationModel, shape: StructureShape, request: HttpRequest
) -> dict[str, Any]:
    """Return the members that path, query and headers hold.

    Raises:
        SerializationError: one is not of its type.
    """
    labels = uri_labels(operation.http["requestUri"], request.path) or {}
    members: dict[str, Any] = {}
    for name, member in members_with_location(shape, "uri").items():
        if (label := labels.get(wire_name(member))) is not None:
            members[name] = read_text(member, _decoded(label), name=name)
    for name, member in members_with_location(shape, "header").items():
        if (text := request.headers.get(wire_name(member).lower())) is not None:
            parts = text.split(",") if isinstance(member, ListShape) else [text]
            members[name] = _read_texts(member, [part.strip() for part in parts], name=name)
    for name, member in members_with_location(shape, "headers").items():
        if prefixed := _prefixed(request.headers, wire_name(member).lower()):
            members[name] = prefixed
    query = parsed_query(request.query)
    for name, member in members_with_location(shape, "querystring").items():
        if texts := query.get(wire_name(member)):
            members[name] = _read_texts(member, texts, name=name)
    return members


def bound_headers(shape: StructureShape, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of an answer, their names in lower case."""
    headers = {
        wire_name(member).lower(): write_text(member, values[name])
        for name, member in members_with_location(shape, "header").items()
        if values.get(name) is not None
    }
    for name, member in members_with_location(shape, "headers").items():
        prefix = wire_name(member).lower()
        headers |= {f"{prefix}{key}": text for key, text in (values.get(name) or {}).items()}
    return headers


@lru_cache(maxsize=1_024)
def members_with_location(shape: StructureShape, location: str | None) -> Mapping[str, Shape]:
    """Return the members of a location, by their names in the model; None is the body."""
    return {
        name: member
        for name, member in shape.members.items()
        if member.serialization.get("location") == location
    }


def wire_name(member: Shape) -> str:
    """Return the name of a member at its location."""
    name: str = member.serialization["name"]
    return name


def parsed_query(query: str) -> dict[str, list[str]]:
    """Return the values of each parameter.

    Raises:
        SerializationError: it is not UTF-8.
    """
    try:
        return parse_qs(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise SerializationError("The query is not encoded as UTF-8.") from None


def _decoded(segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise SerializationError("The path is not encoded as UTF-8.") from None


def _prefixed(headers: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {
        name.removeprefix(prefix): text
        for name, text in headers.items()
        if name.startswith(prefix) and name != prefix
    }


def _read_texts(member: Shape, texts: list[str], *, name: str) -> Any:
    if isinstance(member, ListShape):
        return [read_text(member.member, text, name=name) for text in texts]
    if len(texts) > 1:
        raise SerializationError(f"{name} is given {len(texts)} times.")
    return read_text(member, texts[0], name=name)
