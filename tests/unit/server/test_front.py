from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from blemish.server.front import ELSEWHERE, Front, S3Elsewhere, is_for_s3

CREDENTIALS = Credentials("BLEMEXAMPLE", "secret")
S3, API = "s3", "lookoutvision"
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def scope(*, path: str = "/", query: str = "", **headers: str) -> dict[str, Any]:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http",
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": pairs,
    }


def signed(auth: type[SigV4Auth], service: str) -> AWSRequest:
    request = AWSRequest(method="GET", url="http://localhost:8000/bucket/key?a=b")
    request.context["payload_signing_enabled"] = False
    auth(CREDENTIALS, service, "eu-west-1").add_auth(request)
    return request


@pytest.mark.parametrize(
    ("auth", "service"), [(S3SigV4Auth, S3), (SigV4Auth, API), (SigV4Auth, "sts")]
)
def test_the_service_of_a_signed_header_is_found(auth: type[SigV4Auth], service: str) -> None:
    request = signed(auth, service)

    assert is_for_s3(scope(authorization=request.headers["Authorization"])) == (service == S3)


@pytest.mark.parametrize("service", [S3, API])
def test_the_service_of_a_presigned_link_is_found(service: str) -> None:
    query = signed(S3SigV4QueryAuth, service).url.partition("?")[2]

    assert is_for_s3(scope(query=query)) == (service == S3)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"query": "AWSAccessKeyId=a&Signature=b&Expires=1"}, True),
        ({"authorization": "AWS a:b"}, True),
        ({}, False),
        ({"query": "prefix=s3/"}, False),
        ({"authorization": "Bearer s3"}, False),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=a/s3/us-east-1/x/aws4_request"}, False),
    ],
)
def test_what_is_not_signed_for_s3_is_the_api_s(parts: dict[str, str], expected: bool) -> None:
    assert is_for_s3(scope(**parts)) == expected


@pytest.mark.timeout(60)
def test_a_search_grows_with_the_text_whatever_is_in_it() -> None:
    scopes = "Credential=" * 100_000  # was looked through from each of them to the end

    assert not is_for_s3(scope(authorization=scopes, query=scopes))


class ListedPages:
    """The console, as far as `Front` knows it: what it is asked for goes into a list."""

    def __init__(self, called: list[str]) -> None:
        self._called = called

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope, receive, send
        self._called.append("console")

    async def stop(self) -> None:
        self._called.append("stopped")


@pytest.mark.anyio
async def test_each_request_goes_to_one_application() -> None:
    called: list[str] = []

    async def api(*_: object) -> None:
        called.append(API)

    async def s3(*_: object) -> None:
        called.append(S3)

    async def nothing(*_: object) -> Any:
        return {}

    async def sts(*_: object) -> None:
        called.append("sts")

    async def status(*_: object) -> None:
        called.append("status")

    pages = ListedPages(called)
    front = Front(api=api, s3=s3, sts=sts, status=status, console=pages)
    requests = [
        ("console", scope(path="/console")),
        ("console", scope(path="/console/sign-in")),
        (S3, scope(path="/console/key", authorization="AWS a:b")),
        (S3, scope(path="/consoles")),
        (S3, scope(authorization="AWS a:b")),
        (S3, scope()),
        (S3, scope(path="/bucket/key")),
        (API, scope(path="/2020-11-20/projects")),
        (API, scope(path="/bucket/key", authorization="Bearer a")),
        (API, scope(path="/", authorization=signed(SigV4Auth, API).headers["Authorization"])),
        ("sts", scope(path="/", authorization=signed(SigV4Auth, "sts").headers["Authorization"])),
        ("sts", scope(query="Action=GetCallerIdentity&Version=2011-06-15")),
        ("sts", scope(**FORM)),
        ("sts", scope(**FORM, authorization=signed(SigV4Auth, "sns").headers["Authorization"])),
        (API, scope(authorization=signed(SigV4Auth, "sns").headers["Authorization"])),
        (API, scope(**FORM, authorization=signed(SigV4Auth, API).headers["Authorization"])),
        (S3, scope(**FORM, authorization="AWS a:b")),
        (S3, scope(path="/bucket", **FORM)),
        ("status", scope(path="/healthz")),
        ("status", scope(path="/readyz")),
        ("status", scope(path="/metrics")),
        ("status", scope(path="/metrics", authorization="Bearer token")),
        (S3, scope(path="/metrics", authorization="AWS a:b")),
        (S3, scope(path="/metrics/more")),
    ]
    for _, request in requests:
        await front(request, nothing, nothing)

    assert called == [application for application, _ in requests]


@pytest.mark.anyio
async def test_who_types_the_address_alone_is_led_to_the_console() -> None:
    sent: list[Any] = []

    async def nothing(*_: object) -> Any:
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    front = Front(api=nothing, s3=nothing, sts=nothing, status=nothing, console=ListedPages([]))
    await front(scope(accept="text/html,*/*"), nothing, send)
    await front(scope(accept="text/html", authorization="AWS a:b"), nothing, send)
    await front(scope(accept="text/html", query="a=b"), nothing, send)

    assert [message.get("status") for message in sent] == [303, None]
    assert (b"location", b"/console/") in sent[0]["headers"]


@pytest.mark.anyio
async def test_a_socket_is_the_console_s_or_is_closed() -> None:
    called: list[str] = []
    sent: list[Any] = []

    async def nothing(*_: object) -> Any:
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    front = Front(api=nothing, s3=nothing, sts=nothing, status=nothing, console=ListedPages(called))
    await front(scope(path="/console/ws") | {"type": "websocket"}, nothing, nothing)
    await front(scope(path="/ws") | {"type": "websocket"}, nothing, send)
    await front(scope(accept="text/html") | {"type": "websocket"}, nothing, send)

    assert called == ["console"]
    assert sent == [{"type": "websocket.close"}] * 2


@pytest.mark.anyio
async def test_the_pages_are_stopped_at_the_end() -> None:
    called: list[str] = []
    sent: list[Any] = []
    coming = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        return next(coming)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    async def nothing(*_: object) -> None:
        called.append("asked")

    front = Front(api=nothing, s3=nothing, sts=nothing, status=nothing, console=ListedPages(called))
    await front({"type": "lifespan"}, receive, send)

    assert called == ["stopped"]
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_s3_that_is_elsewhere_says_so(method: str) -> None:
    sent: list[Any] = []

    async def nothing(*_: object) -> Any:
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    request = scope() | {"method": method, "raw_path": b"/a%3Cb%FF"}
    await S3Elsewhere(request_ids=lambda: "id-1")(request, nothing, send)

    start, body = sent
    assert start["status"] == 501
    assert (b"x-amz-request-id", b"id-1") in start["headers"]
    if method == "GET":
        error = ET.fromstring(body["body"])
        assert [each.text for each in error] == ["NotImplemented", ELSEWHERE, "/a<b\ufffd", "id-1"]
    else:
        assert body["body"] == b""
