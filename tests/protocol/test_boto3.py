"""All operations through boto3: signed by it, routed, read, checked, answered, read by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.api.service_model import service_model
from blemish.domain.errors import ResourceNotFoundError, ResourceType, ThrottlingError
from blemish.wire.rest_json_service import rest_json_dispatcher
from tests.asgi_client import ask, boto3_client, installed_models, signer
from tests.protocol.strategies import valid_texts, values

MODEL = service_model()
PROJECT = "circuits"


class Recorder:
    """Has every operation; remembers what it was called with, answers or raises what it is told."""

    def __init__(self) -> None:
        self.called: dict[str, Any] = {}
        self.output: dict[str, Any] = {}
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        def handler(**arguments: Any) -> dict[str, Any]:
            self.called = {name: arguments}
            if self.error:
                raise self.error
            return self.output

        return handler


RECORDER = Recorder()
APP = rest_json_dispatcher(
    MODEL,
    [RECORDER],
    signer=signer,
    clock=lambda: datetime.now(UTC),
    request_ids=map("request-{}".format, count()).__next__,
    max_body_bytes=lambda _: 100_000,
)
CLIENT = boto3_client(APP, models=installed_models())


@pytest.fixture
def recorder() -> Recorder:
    RECORDER.called, RECORDER.output, RECORDER.error = {}, {}, None
    return RECORDER


@pytest.mark.parametrize("name", MODEL.operation_names)
@settings(max_examples=10)
@given(data=st.data())
def test_an_operation_gets_what_the_client_gave_and_gives_what_the_client_gets(
    name: str, data: st.DataObject
) -> None:
    operation = MODEL.operation_model(name)
    params = data.draw(values(operation.input_shape, texts=valid_texts))
    RECORDER.output = data.draw(values(operation.output_shape, texts=valid_texts))

    answer = getattr(CLIENT, xform_name(name))(**params)

    arguments = RECORDER.called[xform_name(name)]
    if "ClientToken" in operation.input_shape.members and "ClientToken" not in params:
        arguments.pop("client_token")
    assert arguments == {xform_name(member): value for member, value in params.items()}
    metadata = answer.pop("ResponseMetadata")
    assert answer == RECORDER.output
    assert metadata["HTTPStatusCode"] == operation.http.get("responseCode", 200)
    assert metadata["RequestId"].startswith("request-")


@pytest.mark.parametrize("name", [".", "..", "a/b", "a%2Fb", "a b", "-a", "ä", "a" * 256])
def test_a_name_that_is_none_reaches_validation(name: str) -> None:
    with pytest.raises(CLIENT.exceptions.ValidationException, match="at 'projectName' failed"):
        CLIENT.describe_project(ProjectName=name)


def test_an_arn_arrives_whole(recorder: Recorder) -> None:
    arn = "arn:aws:lookoutvision:eu-west-1:123456789012:model/circuits/1"

    CLIENT.untag_resource(ResourceArn=arn, TagKeys=["a b", "ä+/"])

    assert recorder.called == {"untag_resource": {"resource_arn": arn, "tag_keys": ["a b", "ä+/"]}}


def test_a_pager_pages(recorder: Recorder) -> None:
    recorder.output = {"Projects": [], "NextToken": "a+/="}
    pages = CLIENT.get_paginator("list_projects").paginate(PaginationConfig={"PageSize": 7})

    first = next(iter(pages))
    recorder.output = {"Projects": [{"ProjectName": PROJECT}]}
    second = CLIENT.list_projects(NextToken=first["NextToken"])

    assert recorder.called == {"list_projects": {"next_token": "a+/="}}
    assert second["Projects"] == [{"ProjectName": PROJECT}]


def test_an_error_of_a_handler_is_the_client_s_exception(recorder: Recorder) -> None:
    recorder.error = ResourceNotFoundError(
        "No such project.", resource_type=ResourceType.PROJECT, resource_id=PROJECT
    )

    with pytest.raises(CLIENT.exceptions.ResourceNotFoundException) as caught:
        CLIENT.describe_project(ProjectName=PROJECT)

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert caught.value.response["ResourceId"] == PROJECT
    assert caught.value.response["ResourceType"] == "PROJECT"


def test_throttling_says_when_to_come_back(recorder: Recorder) -> None:
    recorder.error = ThrottlingError("Too many.", retry_after_s=3)

    with pytest.raises(CLIENT.exceptions.ThrottlingException) as caught:
        CLIENT.list_projects()

    assert caught.value.response["RetryAfterSeconds"] == 3
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "3"


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "local"])
def test_any_region_will_do(recorder: Recorder, region: str) -> None:
    boto3_client(APP, region=region).delete_project(ProjectName=PROJECT, ClientToken="t")

    assert recorder.called == {"delete_project": {"project_name": PROJECT, "client_token": "t"}}


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        ({"secret": "another"}, "InvalidSignatureException"),
        ({"key_id": "NOBODYSKEY"}, "UnrecognizedClientException"),
        ({"session_token": "token"}, "UnrecognizedClientException"),
    ],
)
def test_a_stranger_is_refused(credentials: dict[str, str], code: str) -> None:
    client = boto3_client(APP, **credentials)

    with pytest.raises(ClientError) as caught:
        client.list_projects()

    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_presigned_link_works_without_a_key(recorder: Recorder) -> None:
    recorder.output = {"Projects": []}
    link = CLIENT.generate_presigned_url("list_projects", {"NextToken": "a+/b"}, ExpiresIn=60)

    answer = ask(APP, "GET", link)

    assert answer.status == 200
    assert recorder.called == {"list_projects": {"next_token": "a+/b"}}


def test_an_idempotency_token_of_a_presigned_link_is_a_header(recorder: Recorder) -> None:
    link = CLIENT.generate_presigned_url(
        "delete_project", {"ProjectName": PROJECT, "ClientToken": "token"}, ExpiresIn=60
    )
    assert "x-amzn-client-token" in urlsplit(link).query

    without = ask(APP, "DELETE", link)
    with_token = ask(APP, "DELETE", link, headers={"X-Amzn-Client-Token": "token"})

    assert (without.status, with_token.status) == (403, 200)
    assert recorder.called["delete_project"]["client_token"] == "token"
