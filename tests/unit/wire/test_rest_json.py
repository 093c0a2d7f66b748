from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.model import ServiceModel
from hypothesis import given
from hypothesis import strategies as st

from blemish.api.service_model import service_model
from blemish.wire.errors import SerializationError
from blemish.wire.json_document import MAX_ELEMENTS, parse_json
from blemish.wire.messages import HttpRequest
from blemish.wire.rest_json import json_output_response, parse_json_request
from blemish.wire.routing import Router

MODEL = service_model()
ROUTER = Router(MODEL)
PROJECT = "/2020-11-20/projects/circuits"
ENTRIES = f"{PROJECT}/datasets/train/entries"


def parse(
    method: str,
    path: str,
    *,
    query: str = "",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    request = HttpRequest(method, path, query, headers or {}, body)
    return parse_json_request(ROUTER.operation(method, path), request)


def parse_model(**body: Any) -> dict[str, Any]:
    return parse("POST", f"{PROJECT}/models", body=json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b"null",
        b"[]",
        b'"text"',
        b'{"Unknown": NaN}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"ProjectName": ' + b"9" * 10_000 + b"}",
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(SerializationError):
        parse("POST", "/2020-11-20/projects", body=body)


@pytest.mark.parametrize(
    ("member", "value", "told"),
    [
        ("Description", 1, "Description must be of type string"),
        ("Description", "\ud800", "Description is not a Unicode text"),
        ("Description", "a\0b", "Description has a NUL character"),
        ("OutputConfig", [], "OutputConfig must be of type structure"),
        ("OutputConfig", {"S3Location": {"Bucket": True}}, r"OutputConfig\.S3Location\.Bucket"),
        ("Tags", {}, "Tags must be of type list"),
        ("Tags", [None], r"Tags\[0\] must be of type structure"),
        ("Tags", [{"Key": "a"}, {"Key": {}}], r"Tags\[1\]\.Key must be of type string"),
    ],
)
def test_a_member_of_another_type_is_named(member: str, value: object, told: str) -> None:
    with pytest.raises(SerializationError, match=told):
        parse_model(**{member: value})


@pytest.mark.parametrize("value", [1.5, "1", True, 2**31, -(2**31) - 1, 10**30])
def test_an_integer_is_a_number_of_32_bits(value: object) -> None:
    body = json.dumps({"MinInferenceUnits": value}).encode()

    with pytest.raises(SerializationError, match="MinInferenceUnits"):
        parse("POST", f"{PROJECT}/models/1/start", body=body)


@pytest.mark.parametrize("value", ["a", "a===", "ä", "YQ==\n", "YQ"])
def test_a_blob_is_base64(value: str) -> None:
    body = json.dumps({"Changes": value}).encode()

    with pytest.raises(SerializationError, match="Changes must be encoded as base64"):
        parse("PATCH", ENTRIES, body=body)


@pytest.mark.parametrize(
    "query",
    [
        "maxResults=",
        "maxResults=ten",
        "maxResults=1_0",
        "maxResults=%D9%A3",
        "maxResults=99999999999999999999",
        "maxResults=2147483648",
        "maxResults=1&maxResults=2",
        "labeled=True",
        "labeled=1",
        "createdBefore=yesterday",
        "createdBefore=nan",
        "createdBefore=1e300",
        "createdBefore=0001-01-01T00:00:00%2B14:00",
        "createdBefore=+",
        "nextToken=%FF",
        "nextToken=\udcff",
    ],
)
def test_a_query_member_of_another_type_is_refused(query: str) -> None:
    with pytest.raises(SerializationError):
        parse("GET", ENTRIES, query=query)


@pytest.mark.parametrize("name", ["%FF", "%ED%A0%80", "\udcff"])
def test_a_path_that_is_no_utf_8_is_refused(name: str) -> None:
    with pytest.raises(SerializationError):
        parse("GET", f"/2020-11-20/projects/{name}")


@pytest.mark.parametrize(
    "text",
    [
        "2020-11-20T12:30:00Z",
        "2020-11-20T13:30:00%2B01:00",
        "2020-11-20T12:30:00",
        "1605875400",
        "1605875400.0",
        "Fri,%2020%20Nov%202020%2012:30:00%20GMT",
    ],
)
def test_a_moment_may_be_written_in_any_form_of_the_protocol(text: str) -> None:
    members = parse("GET", ENTRIES, query=f"createdBefore={text}")

    assert members["BeforeCreationDate"] == datetime(2020, 11, 20, 12, 30, tzinfo=UTC)


@given(text=st.text())
def test_no_text_is_a_moment_by_accident_of_the_reader(text: str) -> None:
    try:
        members = parse("GET", ENTRIES, query=f"createdBefore={text}".replace("&", ""))
    except SerializationError:
        return

    assert members["BeforeCreationDate"].tzinfo is UTC


@given(body=st.binary())
def test_no_body_breaks_the_reader(body: bytes) -> None:
    try:
        members = parse("POST", f"{PROJECT}/models", body=body)
    except SerializationError:
        return

    assert members["ProjectName"] == "circuits"


def test_what_the_model_does_not_know_and_what_is_null_is_left_out() -> None:
    members = parse_model(Unknown=1, Description=None, Tags=[{"Key": "a", "Color": "red"}])

    assert members == {"ProjectName": "circuits", "Tags": [{"Key": "a"}]}


def test_no_body_is_an_empty_object() -> None:
    assert parse("POST", "/2020-11-20/projects") == {}


def test_a_body_that_the_operation_does_not_take_is_not_read() -> None:
    assert parse("GET", PROJECT, body=b"{") == {"ProjectName": "circuits"}


def test_a_image_is_the_body_itself() -> None:
    members = parse(
        "POST",
        f"{PROJECT}/models/1/detect",
        body=b"\x89PNG",
        headers={"content-type": "image/png"},
    )

    assert members == {
        "ProjectName": "circuits",
        "ModelVersion": "1",
        "Body": b"\x89PNG",
        "ContentType": "image/png",
    }


def test_a_number_that_json_does_not_have_is_never_sent() -> None:
    result = {"DetectAnomalyResult": {"Confidence": float("nan")}}

    with pytest.raises(ValueError, match="not JSON compliant"):
        json_output_response(MODEL.operation_model("DetectAnomalies"), result)


def test_members_travel_under_the_names_and_in_the_places_that_the_model_gives_them() -> None:
    model = ServiceModel(
        {
            "metadata": {"protocol": "rest-json"},
            "operations": {
                "Touch": {
                    "name": "Touch",
                    "http": {"method": "PUT", "requestUri": "/things"},
                    "input": {"shape": "Thing"},
                    "output": {"shape": "Thing"},
                },
                "Nothing": {"name": "Nothing", "http": {"method": "GET", "requestUri": "/"}},
            },
            "shapes": {
                "Thing": {
                    "type": "structure",
                    "members": {
                        "Since": {"shape": "Time", "location": "header", "locationName": "X-Since"},
                        "Fresh": {"shape": "Yes", "location": "header", "locationName": "X-Fresh"},
                        "Weight": {"shape": "Float", "locationName": "w"},
                        "Count": {"shape": "Long"},
                    },
                },
                "Time": {"type": "timestamp"},
                "Yes": {"type": "boolean"},
                "Float": {"type": "double"},
                "Long": {"type": "long"},
            },
        }
    )
    touch, nothing = model.operation_model("Touch"), model.operation_model("Nothing")
    thing = {
        "Since": datetime(2020, 11, 20, tzinfo=UTC),
        "Fresh": True,
        "Weight": 1.5,
        "Count": 2**40,
    }

    answer = json_output_response(touch, thing)

    assert answer.headers["x-since"] == "Fri, 20 Nov 2020 00:00:00 GMT"
    assert answer.headers["x-fresh"] == "true"
    assert json.loads(answer.body) == {"w": 1.5, "Count": 2**40}
    sent_back = HttpRequest("PUT", "/things", "", answer.headers, answer.body)
    assert parse_json_request(touch, sent_back) == thing
    huge = HttpRequest("PUT", "/things", "", {}, b'{"w": 1' + b"0" * 400 + b"}")
    with pytest.raises(SerializationError, match="Weight is too large"):
        parse_json_request(touch, huge)
    assert parse_json_request(nothing, HttpRequest("GET", "/", "", {}, b"")) == {}
    assert json_output_response(nothing, {}).body == b"{}"


def test_elements_are_counted_before_a_document_is_parsed() -> None:
    entries = b"[" + b"{}," * (MAX_ELEMENTS // 2) + b"{}]"

    with pytest.raises(SerializationError, match="250,000 elements"):
        parse_json(b'{"a":' + entries + b"}")


def test_commas_in_texts_are_no_elements() -> None:
    text = ',\\",' * MAX_ELEMENTS

    assert parse_json(json.dumps({"a": text}).encode()) == {"a": text}
