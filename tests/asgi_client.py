"""Speaks to an ASGI application without a socket: plainly, or through boto3."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

from blemish.cli.sdk_model import install_model
from blemish.domain.access.builtin_policies import FULL_ACCESS, policy_of
from blemish.domain.access.principals import Principal, Signer
from blemish.wire.signature import Caller
from tests.botocore_sessions import new_session

ENDPOINT = "http://blemish.test"
KEY_ID = "BLEMTESTKEY"
SECRET = "the secret of the tests"
PRINCIPAL = Principal(
    access_key_id=KEY_ID,
    name="tester",
    arn="arn:aws:iam::123456789012:user/tester",
    policy=policy_of(FULL_ACCESS),
)

CALLER = Caller(principal=PRINCIPAL, region="eu-west-1", service="lookoutvision")


def signer(access_key_id: str) -> Signer | None:
    """Return whose the one access key of the tests is."""
    return Signer(principal=PRINCIPAL, secret=SECRET) if access_key_id == KEY_ID else None


@dataclass(frozen=True)
class Answer:
    """What an application answered; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def boto3_client(
    app: Any,
    *,
    service: str = "lookoutvision",
    key_id: str = KEY_ID,
    secret: str = SECRET,
    region: str = "eu-west-1",
    session_token: str | None = None,
    models: str | None = None,
) -> Any:
    """Make a boto3 client whose requests `app` answers, in botocore's `before-send` event.

    It has botocore's own model of the service, or the one in the folder `models`.
    """
    session = boto3.Session(
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        aws_session_token=session_token,
        region_name=region,
        botocore_session=new_session(models),
    )
    client = session.client(
        service, endpoint_url=ENDPOINT, config=Config(retries={"total_max_attempts": 1})
    )

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        headers = {name: _text(value) for name, value in request.headers.items()}
        given = ask(app, request.method, request.url, headers=headers, body=_bytes(request.body))
        return AWSResponse(request.url, given.status, given.headers, _Raw(given.body))

    client.meta.events.register("before-send", answer)
    return client


def ask(
    app: Any,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """Send one request; a url may be a path alone."""
    return asyncio.run(ask_among_others(app, method, url, headers=headers, body=body))


async def ask_among_others(
    app: Any,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """Send one request in an event loop that is there already."""
    parts = urlsplit(url)
    sent = {"host": parts.netloc or urlsplit(ENDPOINT).netloc} | {
        name.lower(): value for name, value in (headers or {}).items()
    }
    scope = {
        "type": "http",
        "method": method,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
    }
    return await _talk(app, scope, [{"type": "http.request", "body": body}])


def converse(
    app: Any, scope: MutableMapping[str, Any], messages: Iterable[Mapping[str, Any]]
) -> Answer:
    """Send one request message by message; an answer that never came has the status 0."""
    return asyncio.run(_talk(app, scope, messages))


async def _talk(
    app: Any, scope: MutableMapping[str, Any], messages: Iterable[Mapping[str, Any]]
) -> Answer:
    incoming = iter(messages)
    answered: list[Mapping[str, Any]] = []

    async def never() -> Mapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")

    async def receive() -> Mapping[str, Any]:
        return next(incoming, None) or await never()

    async def send(message: Mapping[str, Any]) -> None:
        answered.append(message)

    await app(scope, receive, send)
    if not answered:
        return Answer(0, {}, b"")
    start, *rest = answered
    return Answer(
        start["status"],
        {name.decode(): value.decode("latin-1") for name, value in start["headers"]},
        b"".join(message["body"] for message in rest),
    )


@cache
def installed_models() -> str:
    """Return a folder as `blemish sdk-model install` fills it; it goes with the process."""
    folder = TemporaryDirectory(prefix="blemish-models-")
    atexit.register(folder.cleanup)
    install_model(Path(folder.name))
    return folder.name


class _Raw(BytesIO):
    """The part of urllib3's response that botocore reads."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _bytes(body: Any) -> bytes:
    match body:
        case None:
            return b""
        case bytes() | bytearray():
            return bytes(body)
        case str():
            return body.encode()
        case _:
            content: bytes = body.read()
            return content
