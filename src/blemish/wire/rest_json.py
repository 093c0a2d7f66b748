"""HTTP <-> members, by the rest-json protocol, driven by the service model.

A member's location says where it travels: `uri`, `querystring` and `header` as text, the `payload`
as the body itself, all others together as one JSON document. No operation is named here.

Source: Smithy, "AWS restJson1 protocol" and "HTTP binding traits".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.model import OperationModel, ServiceModel, StructureShape

from blemish.domain.errors import ServiceError
from blemish.wire.errors import WireError
from blemish.wire.http_bindings import bound_headers, bound_members, members_with_location
from blemish.wire.json_document import members_from_json, members_to_json, parse_json
from blemish.wire.messages import HttpRequest, HttpResponse


def parse_json_request(operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
    """Return the members of a request, by their names in the model; absent ones are left out.

    Raises:
        SerializationError: something in the request is not of its type.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    members = bound_members(operation, shape, request)
    if payload := shape.serialization.get("payload"):
        return members | {payload: request.body}
    in_body = members_with_location(shape, None)
    return members | members_from_json(in_body, parse_json(request.body) if in_body else {})


def json_output_response(operation: OperationModel, output: Mapping[str, Any]) -> HttpResponse:
    """Answer `operation` with the members of `output`; `None` counts as absent.

    Raises:
        ValueError: the output has a member that the model does not know.
    """
    status = operation.http.get("responseCode", 200)
    shape = operation.output_shape
    return _answer(status, shape, output) if shape else _json_response(status, {})


def json_error_response(model: ServiceModel, error: ServiceError | WireError) -> HttpResponse:
    """Answer with the error shape that the class of `error` names."""
    if isinstance(error, WireError):
        error_type = {"x-amzn-errortype": error.code}
        return _json_response(error.status, {"Message": error.message}, error_type)
    error_type = {"x-amzn-errortype": error.shape}
    shape = model.shape_for(error.shape)
    return _answer(shape.metadata["error"]["httpStatusCode"], shape, error.members(), error_type)


def _answer(
    status: int,
    shape: StructureShape,
    values: Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    located = bound_headers(shape, values)
    in_headers = members_with_location(shape, "header")
    in_body = {name: value for name, value in values.items() if name not in in_headers}
    document = members_to_json(members_with_location(shape, None), in_body)
    return _json_response(status, document, located | dict(headers or {}))


def _json_response(
    status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> HttpResponse:
    body = json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
    return HttpResponse(status, {"content-type": "application/json", **(headers or {})}, body)
