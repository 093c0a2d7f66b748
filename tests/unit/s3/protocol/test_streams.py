"""What happens to bodies when a client or a disk does not play along."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from blemish.s3.protocol.service import DRAIN_BYTES
from blemish.wire.dispatch import Dispatcher
from tests.asgi_client import ENDPOINT, converse
from tests.unit.s3.protocol.objects_by_name import URL, Objects, code_of, dispatcher, scope_of, send


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
def app(objects: Objects) -> Dispatcher:
    return dispatcher(objects)


def test_a_body_that_nobody_wants_is_read_so_that_the_answer_is_seen(
    app: Dispatcher,
) -> None:
    refused = f"{ENDPOINT}/bucket/refused"
    part = {"type": "http.request", "body": bytes(DRAIN_BYTES // 2), "more_body": True}
    scope = scope_of("PUT", refused, content_length=str(DRAIN_BYTES * 9))

    soon = converse(app, scope, [part, {"type": "http.request"}])
    late = converse(app, scope, [part, part, part, part, part])

    assert (soon.status, code_of(soon), soon.headers.get("connection")) == (404, "NoSuchKey", None)
    assert (late.status, late.headers["connection"]) == (404, "close")


def test_a_client_that_waits_to_be_asked_for_a_body_is_answered_at_once(
    app: Dispatcher,
) -> None:
    scope = scope_of("PUT", f"{ENDPOINT}/bucket/refused", content_length="9", expect="100-continue")
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was asked for")

    async def send_at_once(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send_at_once))

    assert sent[0]["status"] == 404
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_client_that_hangs_up_leaves_nothing(app: Dispatcher, objects: Objects) -> None:
    part = {"type": "http.request", "body": b"cont", "more_body": True}
    scope = scope_of("PUT", URL, content_length="7")

    answer = converse(app, scope, [part, {"type": "http.disconnect"}])

    assert answer.status == 0
    assert objects.kept == {}


def test_a_download_ends_when_the_client_hangs_up(app: Dispatcher, objects: Objects) -> None:
    objects.kept["bucket/key"] = bytes(4_000)
    gone = asyncio.Event()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if sent:
            await gone.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request"}

    async def send_slowly(message: Any) -> None:
        sent.append(message)
        if len(sent) == 3:
            gone.set()
            await asyncio.sleep(0.01)

    asyncio.run(app(scope_of("GET", URL), receive, send_slowly))

    assert len(sent) < 10
    assert objects.closed == 1


def test_a_download_that_fails_on_its_way_breaks_off(app: Dispatcher, objects: Objects) -> None:
    objects.kept["bucket/key"] = b"torn apart"

    with pytest.raises(OSError, match="the disk is torn"):
        converse(app, scope_of("GET", URL), [{"type": "http.request"}])

    assert objects.closed == 1


def test_a_body_is_closed_even_if_its_answer_cannot_be_written(
    app: Dispatcher, objects: Objects
) -> None:
    objects.kept["bucket/key"] = b"misnamed"

    assert send(app, "GET", URL).status == 500
    assert objects.closed == 1
