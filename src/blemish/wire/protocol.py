"""HTTP <-> members, by the rest-json protocol, driven by the service model.

A member's location says where it travels: `uri`, `querystring` and `header` as text, the `payload`
as the body itself, all others together as one JSON document. No operation is named here.

Source: Smithy, "AWS restJson1 protocol" and "HTTP binding traits".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StructureShape

from blemish.domain.errors import ServiceError
from blemish.wire.errors import SerializationError, WireError
from blemish.wire.json_document import members_from_json, members_to_json, parse_json
from blemish.wire.messages import HttpRequest, HttpResponse
from blemish.wire.routing import uri_labels
from blemish.wire.text import read_text, write_text


def parse_request(operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
    """Return the members of a request, by their names in the model; absent ones are left out.

    Raises:
        SerializationError: something in the request is not of its type.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    members = _located_members(operation, shape, request)
    if payload := shape.serialization.get("payload"):
        return members | {payload: request.body}
    in_body = _members_at(shape, None)
    return members | members_from_json(in_body, parse_json(request.body) if in_body else {})


def serialize_output(operation: OperationModel, output: Mapping[str, Any]) -> HttpResponse:
    """Answer `operation` with the members of `output`; `None` counts as absent.

    Raises:
        ValueError: the output has a member that the model does not know.
    """
    status = operation.http.get("responseCode", 200)
    shape = operation.output_shape
    return _answer(status, shape, output) if shape else _json_response(status, {})


def serialize_error(model: ServiceModel, error: ServiceError | WireError) -> HttpResponse:
    """Answer with the error shape that the class of `error` names."""
    kind = {"x-amzn-errortype": error.shape}
    if isinstance(error, WireError):
        return _json_response(error.status, {"Message": error.message}, kind)
    shape = model.shape_for(error.shape)
    return _answer(shape.metadata["error"]["httpStatusCode"], shape, error.members(), kind)


def _located_members(
    operation: OperationModel, shape: StructureShape, request: HttpRequest
) -> dict[str, Any]:
    """Return the members that path, query and headers hold."""
    labels = uri_labels(operation.http["requestUri"], request.path) or {}
    members: dict[str, Any] = {}
    for name, member in _members_at(shape, "uri").items():
        members[name] = read_text(member, _decoded(labels[_wire_name(member)]), name=name)
    for name, member in _members_at(shape, "header").items():
        if (text := request.headers.get(_wire_name(member).lower())) is not None:
            members[name] = read_text(member, text, name=name)
    query = _parsed_query(request.query)
    for name, member in _members_at(shape, "querystring").items():
        if texts := query.get(_wire_name(member)):
            members[name] = _read_texts(member, texts, name=name)
    return members


def _members_at(shape: StructureShape, location: str | None) -> dict[str, Shape]:
    return {
        name: member
        for name, member in shape.members.items()
        if member.serialization.get("location") == location
    }


def _wire_name(member: Shape) -> str:
    name: str = member.serialization["name"]
    return name


def _decoded(segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise SerializationError("The path is not encoded as UTF-8.") from None


def _parsed_query(query: str) -> dict[str, list[str]]:
    try:
        return parse_qs(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise SerializationError("The query is not encoded as UTF-8.") from None


def _read_texts(member: Shape, texts: list[str], *, name: str) -> Any:
    if isinstance(member, ListShape):
        return [read_text(member.member, text, name=name) for text in texts]
    if len(texts) > 1:
        raise SerializationError(f"{name} is given {len(texts)} times.")
    return read_text(member, texts[0], name=name)


def _answer(
    status: int,
    shape: StructureShape,
    values: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    in_headers = _members_at(shape, "header")
    located = {
        _wire_name(member).lower(): write_text(member, values[name])
        for name, member in in_headers.items()
        if values.get(name) is not None
    }
    in_body = {name: value for name, value in values.items() if name not in in_headers}
    document = members_to_json(_members_at(shape, None), in_body)
    return _json_response(status, document, located | dict(headers or {}))


def _json_response(
    status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> HttpResponse:
    body = json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
    return HttpResponse(status, {"content-type": "application/json", **(headers or {})}, body)
