"""S3's protocol, with botocore as the oracle in both directions."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import HeadersDict, prepare_request_dict
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape, StructureShape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st

from blemish.s3.protocol.addressing import path_with_bucket
from blemish.s3.protocol.errors import (
    InvalidArgumentError,
    InvalidRequestError,
    MalformedXMLError,
    NoSuchKeyError,
    S3Error,
    UnsupportedError,
)
from blemish.s3.protocol.rest_xml import (
    parse_xml_request,
    streaming_payload,
    xml_error_response,
    xml_output_response,
)
from blemish.wire.messages import HttpRequest, HttpResponse
from blemish.wire.routing import Router
from tests.protocol.strategies import ANY, values

MODEL = ServiceModel(Loader().load_service_model("s3", "service-2"))
ROUTER = Router(MODEL)
OPERATIONS = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateBucket",
    "CreateMultipartUpload",
    "DeleteBucket",
    "DeleteObject",
    "DeleteObjects",
    "GetBucketLocation",
    "GetBucketVersioning",
    "GetObject",
    "HeadBucket",
    "HeadObject",
    "ListBuckets",
    "ListMultipartUploads",
    "ListObjects",
    "ListObjectsV2",
    "ListParts",
    "PutObject",
    "UploadPart",
    "UploadPartCopy",
]
#: XML has no others; botocore writes a carriage return so that it is read as a line feed
XML_TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n")
)
MESSAGES = XML_TEXTS.filter(bool)


def texts(shape: Shape) -> st.SearchStrategy[str]:
    if enum := shape.metadata.get("enum"):
        return st.sampled_from(enum)
    match shape.serialization.get("location"):
        case "header":
            visible = st.characters(codec="latin-1", exclude_categories=["Cc", "Zs"])
            return st.text(visible, min_size=1)
        case "uri" if shape.serialization["name"] == "Bucket":
            return st.from_regex(r"[a-z0-9][a-z0-9.-]{1,20}[a-z0-9]", fullmatch=True)
        case "uri":
            return st.text(ANY, min_size=1)
        case "querystring":
            return st.text(ANY)
        case _:
            return XML_TEXTS


def sent_by_botocore(name: str, params: dict[str, Any]) -> HttpRequest:
    operation = MODEL.operation_model(name)
    serializer = create_serializer("rest-xml", include_validation=False)
    sent = serializer.serialize_to_request(params, operation)
    prepare_request_dict(sent, endpoint_url="http://localhost")
    url = urlsplit(sent["url"])
    headers = {key.lower(): value for key, value in sent["headers"].items()}
    path = path_with_bucket(url.path, host="localhost", base_host_names=())
    return HttpRequest(sent["method"], path, url.query, headers, sent["body"])


def read_by_botocore(answer: HttpResponse, shape: StructureShape | None) -> dict[str, Any]:
    response = {
        "status_code": answer.status,
        "headers": HeadersDict(answer.headers),
        "body": answer.body,
    }
    parsed = create_parser("rest-xml").parse(response, shape)
    parsed.pop("ResponseMetadata", None)
    return dict(parsed)


@pytest.mark.parametrize("name", OPERATIONS)
@given(data=st.data())
def test_what_botocore_sends_is_read(name: str, data: st.DataObject) -> None:
    shape = MODEL.operation_model(name).input_shape
    params = data.draw(values(shape, texts=texts)) if shape else {}
    streamed = streaming_payload(shape)
    expected = {key: value for key, value in params.items() if key != streamed}

    request = sent_by_botocore(name, params)

    operation = ROUTER.operation(
        request.method, request.path, query=request.query, headers=request.headers
    )
    assert operation.name == name
    assert parse_xml_request(operation, request) == expected


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "GetBucketLocation"])
@given(data=st.data())
def test_botocore_reads_what_is_answered(name: str, data: st.DataObject) -> None:
    operation = MODEL.operation_model(name)
    shape = operation.output_shape
    output = data.draw(values(shape, texts=texts)) if shape else {}
    payload = shape.serialization.get("payload") if shape else None
    if streamed := streaming_payload(shape):
        output.pop(streamed, None)
    elif payload:
        output.setdefault(payload, {})

    answer = xml_output_response(operation, output)

    read = read_by_botocore(answer, shape)
    if streamed:
        read.pop(streamed)
    if not read.get("Metadata"):
        read.pop("Metadata", None)  # botocore reads an empty map from no headers
    assert answer.status == operation.http.get("responseCode", 200)
    assert read == output


@pytest.mark.parametrize(("location", "inside"), [("eu-west-1", "eu-west-1"), (None, "")])
def test_the_location_of_a_bucket_is_the_root_element(location: str | None, inside: str) -> None:
    operation = MODEL.operation_model("GetBucketLocation")

    answer = xml_output_response(operation, {"LocationConstraint": location})

    assert answer.body.endswith(
        b'<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        + inside.encode()
        + b"</LocationConstraint>"
    )


@given(code=st.sampled_from(S3Error.__subclasses__()), message=MESSAGES, resource=MESSAGES)
def test_botocore_reads_every_error(code: type[S3Error], message: str, resource: str) -> None:
    answer = xml_error_response(code(message), resource=resource, request_id="7")

    assert answer.status == code.status
    if code.status < 400:
        return  # to botocore a 304 is an error by its status alone
    assert read_by_botocore(answer, None)["Error"] == {
        "Code": code.code,
        "Message": message,
        "Resource": resource,
    }


def test_details_of_an_error_are_told() -> None:
    error = NoSuchKeyError("There is none.", details={"Key": "a&b"})

    answer = xml_error_response(error, resource="/bucket/a&b", request_id="7")

    assert b"<Key>a&amp;b</Key>" in answer.body


def test_the_status_may_be_another_one() -> None:
    operation = MODEL.operation_model("GetObject")

    answer = xml_output_response(operation, {"ContentRange": "bytes 0-1/9", "StatusCode": 206})

    assert (answer.status, answer.headers) == (206, {"content-range": "bytes 0-1/9"})


def test_an_output_member_that_the_model_does_not_know_is_a_fault_of_ours() -> None:
    for name in ("DeleteBucket", "HeadObject", "ListObjectsV2", "CopyObject"):
        with pytest.raises(ValueError, match="Bukket"):
            xml_output_response(MODEL.operation_model(name), {"Bukket": "b"})


@pytest.mark.parametrize("text", ["a\r\nSet-Cookie: b", "€", "a\0"])
def test_what_no_header_can_hold_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="content-type"):
        xml_output_response(MODEL.operation_model("GetObject"), {"ContentType": text})


@pytest.mark.parametrize("name", ["日本", "a: b\r\nc", "a b"])
def test_what_no_header_can_be_called_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="x-amz-meta-"):
        xml_output_response(MODEL.operation_model("GetObject"), {"Metadata": {name: "a"}})


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "name"),
    [
        ("PUT", "/b/k", "uploadId=1", {}, "UploadPart"),
        ("PUT", "/b/k", "uploadId=1", {"x-amz-copy-source": "b/o"}, "UploadPartCopy"),
        ("PUT", "/b/k", "partNumber=1", {}, "UploadPart"),
        ("PUT", "/b/k", "", {"x-amz-copy-source": "b/o"}, "CopyObject"),
        ("GET", "/b/k", "partNumber=1", {}, "GetObject"),
        ("GET", "/b/k", "x-id=GetObject", {}, "GetObject"),
        ("GET", "/b/k", "uploadId=1", {}, "ListParts"),
        ("GET", "/b", "list-type=2", {}, "ListObjectsV2"),
        ("GET", "/b", "list-type=1", {}, "ListObjects"),
        ("GET", "/b", "analytics", {}, "ListBucketAnalyticsConfigurations"),
        ("GET", "/b", "analytics&id=1", {}, "GetBucketAnalyticsConfiguration"),
        ("POST", "/b/k", "", {}, "CompleteMultipartUpload"),
        ("DELETE", "/b/k", "tagging", {}, "DeleteObjectTagging"),
        ("GET", "/", "", {}, "ListBuckets"),
    ],
)
def test_query_and_headers_tell_operations_apart(
    method: str, path: str, query: str, headers: dict[str, str], name: str
) -> None:
    assert ROUTER.operation(method, path, query=query, headers=headers).name == name


@pytest.mark.parametrize(
    ("name", "request_", "error"),
    [
        ("CompleteMultipartUpload", HttpRequest("POST", "/b/k", "", {}, b""), InvalidRequestError),
        ("GetObject", HttpRequest("GET", "/b/k", "annotations", {}, b""), UnsupportedError),
        (
            "CopyObject",
            HttpRequest("PUT", "/b/k", "", {"x-amz-copy-source": "b/k", "if-x": "*"}, b""),
            UnsupportedError,
        ),
        ("GetObject", HttpRequest("GET", "/b/k", "", {"x-amz-new": "1"}, b""), UnsupportedError),
        ("ListObjectsV2", HttpRequest("GET", "/b", "max-keys=a", {}, b""), InvalidArgumentError),
        ("GetObject", HttpRequest("GET", "/b/%ff", "", {}, b""), InvalidArgumentError),
        ("GetObject", HttpRequest("GET", "/b/k", "x-%ff=1", {}, b""), InvalidArgumentError),
        ("DeleteObjects", HttpRequest("POST", "/b", "delete", {}, b"<A/>"), MalformedXMLError),
        ("DeleteObjects", HttpRequest("POST", "/b", "delete", {}, b""), InvalidRequestError),
    ],
)
def test_what_cannot_be_read_is_refused(
    name: str, request_: HttpRequest, error: type[S3Error]
) -> None:
    with pytest.raises(error):
        parse_xml_request(MODEL.operation_model(name), request_)
