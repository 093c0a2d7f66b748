from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from blemish.sts.service import sts_dispatcher
from blemish.wire.calls import Call
from blemish.wire.dispatch import Dispatcher
from tests.asgi_client import ENDPOINT, KEY_ID, PRINCIPAL, SECRET, ask, boto3_client, signer

ACTION = "Action=GetCallerIdentity&Version=2011-06-15"
CREDENTIALS = Credentials(KEY_ID, SECRET)


@pytest.fixture
def calls() -> list[Call]:
    return []


@pytest.fixture
def app(calls: list[Call]) -> Dispatcher:
    return sts_dispatcher(
        account="123456789012",
        signer=signer,
        clock=lambda: datetime.now(UTC),
        request_ids=lambda: "request-1",
        observers=[calls.append],
    )


def test_the_caller_learns_who_it_is(app: Dispatcher, calls: list[Call]) -> None:
    answer = boto3_client(app, service="sts").get_caller_identity()

    assert {name: answer[name] for name in ("UserId", "Account", "Arn")} == {
        "UserId": KEY_ID,
        "Account": "123456789012",
        "Arn": PRINCIPAL.arn,
    }
    assert answer["ResponseMetadata"]["RequestId"] == "request-1"
    assert [(call.operation, call.status) for call in calls] == [("GetCallerIdentity", 200)]


@pytest.mark.parametrize("auth", [SigV4Auth, SigV4QueryAuth])
def test_the_action_may_stand_in_the_query(app: Dispatcher, auth: type[SigV4Auth]) -> None:
    request = AWSRequest(method="GET", url=f"{ENDPOINT}/?{ACTION}")
    auth(CREDENTIALS, "sts", "us-east-1").add_auth(request)

    answer = ask(app, "GET", request.url, headers=dict(request.headers.items()))

    assert answer.status == 200
    assert f"<Arn>{PRINCIPAL.arn}</Arn>".encode() in answer.body


@pytest.mark.parametrize(
    ("credentials", "code"),
    [({"secret": "no"}, "SignatureDoesNotMatch"), ({"key_id": "NOBODY"}, "InvalidClientTokenId")],
)
def test_who_signs_wrongly_is_refused_in_the_words_of_sts(
    app: Dispatcher, credentials: dict[str, str], code: str
) -> None:
    client = boto3_client(app, service="sts", **credentials)

    with pytest.raises(ClientError, match=code) as caught:
        client.get_caller_identity()

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_an_unsigned_request_is_refused(app: Dispatcher) -> None:
    answer = ask(app, "POST", f"{ENDPOINT}/", body=ACTION.encode())

    assert answer.status == 403
    assert b"<Code>MissingAuthenticationToken</Code>" in answer.body


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("get_session_token", {}),
        ("assume_role", {"RoleArn": "arn:aws:iam::123456789012:role/r", "RoleSessionName": "se"}),
    ],
)
def test_sessions_are_refused_with_the_reason(
    app: Dispatcher, operation: str, members: dict[str, Any]
) -> None:
    client = boto3_client(app, service="sts")

    with pytest.raises(ClientError, match=r"InvalidAction.*need no session"):
        getattr(client, operation)(**members)


@pytest.mark.parametrize(
    ("service", "operation"),
    [("sns", "list_topics"), ("cloudwatch", "list_metrics"), ("iam", "list_users")],
)
def test_another_service_is_refused_so_that_its_client_can_read_it(
    app: Dispatcher, service: str, operation: str
) -> None:
    client = boto3_client(app, service=service)

    with pytest.raises(ClientError, match=r"UnknownService.*no service.*AWS_ENDPOINT_URL_S3"):
        getattr(client, operation)()
