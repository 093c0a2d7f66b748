"""The protocol, with botocore as the oracle in both directions."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import HeadersDict, prepare_request_dict
from botocore.model import StructureShape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st

from blemish.api.service_model import service_model
from blemish.domain import errors
from blemish.domain.errors import ServiceError
from blemish.wire.errors import WireError
from blemish.wire.messages import HttpRequest, HttpResponse
from blemish.wire.rest_json import json_error_response, json_output_response, parse_json_request
from blemish.wire.routing import Router
from tests.protocol.strategies import values

MODEL = service_model()
ROUTER = Router(MODEL)


def sent_by_botocore(name: str, params: dict[str, Any]) -> HttpRequest:
    operation = MODEL.operation_model(name)
    serializer = create_serializer("rest-json", include_validation=False)
    sent = serializer.serialize_to_request(params, operation)
    prepare_request_dict(sent, endpoint_url="http://localhost")
    url = urlsplit(sent["url"])
    headers = {key.lower(): value for key, value in sent["headers"].items()}
    return HttpRequest(sent["method"], url.path, url.query, headers, sent["body"])


def read_by_botocore(answer: HttpResponse, shape: StructureShape | None) -> dict[str, Any]:
    parsed = create_parser("rest-json").parse(
        {
            "status_code": answer.status,
            "headers": HeadersDict(answer.headers),
            "body": answer.body,
        },
        shape,
    )
    parsed.pop("ResponseMetadata", None)
    return dict(parsed)


@pytest.mark.parametrize("name", MODEL.operation_names)
@given(data=st.data())
def test_what_botocore_sends_is_read(name: str, data: st.DataObject) -> None:
    params = data.draw(values(MODEL.operation_model(name).input_shape))

    request = sent_by_botocore(name, params)

    operation = ROUTER.operation(request.method, request.path)
    assert operation.name == name
    assert parse_json_request(operation, request) == params


@pytest.mark.parametrize("name", MODEL.operation_names)
@given(data=st.data())
def test_botocore_reads_what_is_answered(name: str, data: st.DataObject) -> None:
    operation = MODEL.operation_model(name)
    output = data.draw(values(operation.output_shape))

    answer = json_output_response(operation, output)

    assert answer.status == operation.http.get("responseCode", 200)
    assert read_by_botocore(answer, operation.output_shape) == output


@pytest.mark.parametrize("shape", MODEL.error_shapes, ids=lambda shape: shape.name)
@given(data=st.data())
def test_botocore_reads_every_error(shape: StructureShape, data: st.DataObject) -> None:
    members: dict[str, object] = data.draw(values(shape))

    class RaisedError(ServiceError):
        def members(self) -> dict[str, object]:
            return members

    RaisedError.shape = shape.name
    answer = json_error_response(MODEL, RaisedError(""))

    assert answer.status == shape.metadata["error"]["httpStatusCode"]
    assert read_by_botocore(answer, None)["Error"] == {
        "Code": shape.name,
        "Message": members["Message"],
    }
    assert read_by_botocore(answer, shape) == members


@pytest.mark.parametrize("error", WireError.__subclasses__())
def test_botocore_reads_errors_that_the_model_does_not_have(error: type[WireError]) -> None:
    answer = json_error_response(MODEL, error("What is wrong."))

    assert answer.status == error.status
    assert read_by_botocore(answer, None)["Error"] == {
        "Code": error.code,
        "Message": "What is wrong.",
    }


def test_every_error_shape_has_one_class() -> None:
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, ServiceError) and hasattr(value, "shape")
    ]

    assert sorted(kind.shape for kind in classes) == sorted(s.name for s in MODEL.error_shapes)


def test_an_output_member_that_the_model_does_not_know_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="ProjektArn"):
        json_output_response(MODEL.operation_model("DeleteProject"), {"ProjektArn": "arn"})


def test_what_is_none_is_not_answered() -> None:
    operation = MODEL.operation_model("ListModels")

    answer = json_output_response(
        operation, {"Models": [{"ModelVersion": "1", "Description": None}], "NextToken": None}
    )

    assert json.loads(answer.body) == {"Models": [{"ModelVersion": "1"}]}
