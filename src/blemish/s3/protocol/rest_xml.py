"""HTTP <-> members, by the rest-xml protocol as S3 speaks it, driven by the service model.

A member's location says where it travels, as in `wire/http_bindings.py`; the others, or the
structure that is the payload, are an XML document. Streamed payloads are handled elsewhere.

The name of an answer's root element is not in the model, and clients do not look at it: it is that
of the payload, or of the output shape.

Source: Smithy, "AWS restXml protocol"; Amazon S3 API Reference, "REST error responses".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from botocore.model import OperationModel, StructureShape

from blemish.s3.protocol.errors import (
    InvalidArgumentError,
    InvalidRequestError,
    MalformedXMLError,
    S3Error,
    UnsupportedError,
)
from blemish.s3.protocol.xml_document import from_xml, members_from_xml, parse_xml
from blemish.wire.errors import SerializationError
from blemish.wire.http_bindings import (
    bound_headers,
    bound_members,
    members_with_location,
    parsed_query,
    wire_name,
)
from blemish.wire.messages import HttpRequest, HttpResponse
from blemish.wire.routing import markers
from blemish.wire.xml_writer import DECLARATION, members_to_xml, text_element, to_xml

NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

UNWRAPPED = frozenset({"GetBucketLocation"})
"""Operations with the root as their only element; botocore leaves that trait out.

Source: Smithy, trait `aws.customizations#s3UnwrappedXmlOutput`.
"""

STATUS = "StatusCode"
"""Key of an output for a status that is not the usual one of the operation."""


_ABOUT_THE_REQUEST = frozenset(
    f"x-amz-{name}"
    for name in (
        "algorithm",
        "content-sha256",
        "credential",
        "date",
        "decoded-content-length",
        "expires",
        "sdk-checksum-algorithm",
        "signature",
        "signedheaders",
        "trailer",
        "user-agent",
    )
)
"""Headers, or parameters of a link, that are about how a request is sent and signed."""

_LEFT_ALONE = ("x-amz-checksum-", "x-amz-meta-")
"""What some clients send with every request of an upload; S3 has no use for it there either."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_TEXT = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def parse_xml_request(operation: OperationModel, request: HttpRequest) -> dict[str, Any]:
    """Return the members of a request, by their names in the model; absent ones are left out.

    Raises:
        InvalidArgumentError: a member of path, query or headers is not of its type.
        InvalidRequestError: a member is missing.
        MalformedXMLError: the body is not what the operation takes.
        UnsupportedError: there is a parameter or a condition that the operation does not know.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    _check_parameters(operation, shape, request)
    _check_headers(operation, shape, request)
    try:
        members = bound_members(operation, shape, request)
    except SerializationError as error:
        raise InvalidArgumentError(error.message) from None
    if streaming_payload(shape) is None:
        members |= _members_of_body(shape, request.body)
    for name in shape.required_members:
        if name not in members:
            raise InvalidRequestError(f"The request lacks {name}.")
    return members


def streaming_payload(shape: StructureShape | None) -> str | None:
    """Return the name of the member that is the body as it comes, if there is one."""
    name: str | None = shape.serialization.get("payload") if shape else None
    if shape is None or name is None or isinstance(shape.members[name], StructureShape):
        return None
    return name


def xml_output_response(operation: OperationModel, output: Mapping[str, Any]) -> HttpResponse:
    """Answer `operation` with the members of `output`, but for a payload that streams.

    `None` counts as absent.

    Raises:
        ValueError: the output has a member that the model does not know.
        InvalidArgumentError: what `check_headers` raises.
    """
    values = dict(output)
    status = values.pop(STATUS, None) or operation.http.get("responseCode", 200)
    shape = operation.output_shape
    if shape is None:
        members_to_xml({}, values)
        return HttpResponse(status, {}, b"")
    headers = bound_headers(shape, values)
    check_headers(headers)
    for name, member in shape.members.items():
        if "location" in member.serialization or name == streaming_payload(shape):
            values.pop(name, None)
    document = _document(operation, shape, values)
    if not document:
        return HttpResponse(status, headers, b"")
    return _xml_response(status, document, headers)


def check_headers(headers: Mapping[str, str]) -> None:
    """Go on if an answer can have these headers.

    Raises:
        InvalidArgumentError: a name, or a text, cannot be sent.
    """
    for name, text in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidArgumentError(f"{name!r:.300} cannot be the name of a header.")
        if not _HEADER_TEXT.fullmatch(text):
            raise InvalidArgumentError(f"{name} cannot be represented using ISO-8859-1.")


def xml_error_response(error: S3Error, *, resource: str, request_id: str) -> HttpResponse:
    """Return the response with an error; the resource is the path of the request."""
    elements = {
        "Code": error.code,
        "Message": error.message,
        **error.details,
        "Resource": resource,
        "RequestId": request_id,
    }
    inside = "".join(text_element(tag, text) for tag, text in elements.items())
    return _xml_response(error.status, f"<Error>{inside}</Error>", {})


def _check_parameters(
    operation: OperationModel, shape: StructureShape, request: HttpRequest
) -> None:
    """Refuse what S3 may know by now and the model does not: it would change what is meant."""
    known = {
        wire_name(member) for member in members_with_location(shape, "querystring").values()
    } | markers(operation.http["requestUri"]).keys()
    try:
        parameters = parsed_query(request.query)
    except SerializationError as error:
        raise InvalidArgumentError(error.message) from None
    for name in parameters:
        if name not in known and not name.lower().startswith("x-"):
            raise UnsupportedError(f"{operation.name} is not supported with the parameter {name}.")


def _check_headers(operation: OperationModel, shape: StructureShape, request: HttpRequest) -> None:
    """Refuse conditions and commands that the model does not know, for the same reason."""
    known = {
        wire_name(member).lower() for member in members_with_location(shape, "header").values()
    }
    for name in request.headers.keys() - known - _ABOUT_THE_REQUEST:
        if name.startswith(("if-", "x-amz-")) and not name.startswith(_LEFT_ALONE):
            raise UnsupportedError(f"{operation.name} is not supported with the header {name}.")


def _members_of_body(shape: StructureShape, body: bytes) -> dict[str, Any]:
    payload = shape.serialization.get("payload")
    if not body.strip():
        return {}
    if payload is None:
        in_body = members_with_location(shape, None)
        return members_from_xml(in_body, parse_xml(body)) if in_body else {}
    member = shape.members[payload]
    root = parse_xml(body)
    expected = member.serialization.get("name", payload)
    if root.name != expected:
        raise MalformedXMLError(f"The body must be a document {expected}, not {root.name}.")
    return {payload: from_xml(member, root)}


def _document(operation: OperationModel, shape: StructureShape, values: Mapping[str, Any]) -> str:
    in_body = members_with_location(shape, None)
    payload = shape.serialization.get("payload")
    if payload is not None:
        in_body = {} if payload == streaming_payload(shape) else {payload: in_body[payload]}
    if unknown := values.keys() - in_body.keys():
        raise ValueError(f"the service model does not know {sorted(unknown)}")
    if not in_body:
        return ""
    if payload is not None:
        member = in_body[payload]
        tag = member.serialization.get("name", payload)
        return to_xml(member, values.get(payload) or {}, tag=tag, attributes=NAMESPACE)
    if operation.name in UNWRAPPED:
        [(name, member)] = in_body.items()
        return to_xml(member, values.get(name) or "", tag=name, attributes=NAMESPACE)
    tag = shape.name.removesuffix("Output") + "Result"
    return f"<{tag}{NAMESPACE}>{members_to_xml(in_body, values)}</{tag}>"


def _xml_response(status: int, document: str, headers: Mapping[str, str]) -> HttpResponse:
    text = DECLARATION + document
    body = text.encode(errors="backslashreplace")  # JSON may name halves of characters
    return HttpResponse(status, {"content-type": "application/xml", **headers}, body)
