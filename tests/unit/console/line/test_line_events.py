"""The socket of a full screen: who may see the line no more gets nothing more."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Message
from starlette.websockets import WebSocket

from blemish.console.line import line_requests
from blemish.console.line.line_requests import FAILED, REFUSED, send_events
from blemish.console.visitor import SignedOutError
from blemish.domain.errors import AccessDeniedError, ResourceNotFoundError, ResourceType
from blemish.line.feed import LineFeed
from blemish.line.history import VerdictCount
from blemish.line.shifts import ShiftCounter
from blemish.storage.errors import DatabaseUnavailableError

GONE = ResourceNotFoundError("gone", resource_type=ResourceType.LINE, resource_id="hall")


class Looker:
    """A visitor who sees a line until `error` is there."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        counter = ShiftCounter(
            shifts=(time(6),),
            zone=UTC,
            count_since=lambda _begin: VerdictCount(images=0, anomalous=0),
            now=lambda: datetime.now(UTC),
        )
        line = SimpleNamespace(feed=LineFeed(counter))
        lines = SimpleNamespace(arn=str, line=lambda _name: line)
        self.services = SimpleNamespace(lines=lines)

    async def authorize(self, _action: str, _resource: str) -> None:
        if self.error is not None:
            raise self.error


async def codes_after(error: Exception | None, *received: Message) -> list[Any]:
    """Return the codes by which a socket is closed after its page got a state."""
    looker = Looker()
    sent: list[Message] = []
    messages: asyncio.Queue[Message] = asyncio.Queue()
    messages.put_nowait({"type": "websocket.connect"})

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "websocket.send":
            looker.error = error
            for each in received:
                messages.put_nowait(each)

    scope = {"type": "websocket", "state": {"visitor": looker}}
    await asyncio.wait_for(send_events(WebSocket(scope, messages.get, send), "hall"), 10)
    assert sum(message["type"] == "websocket.send" for message in sent) == 1
    return [message["code"] for message in sent if message["type"] == "websocket.close"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SignedOutError("over"), REFUSED),
        (AccessDeniedError("no"), REFUSED),
        (GONE, REFUSED),
        (DatabaseUnavailableError("away"), FAILED),
    ],
)
def test_a_silent_page_is_looked_after(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_requests, "RECHECK_S", 0.01)

    assert asyncio.run(codes_after(error)) == [code]


def test_a_page_may_say_what_it_wants() -> None:
    binary = {"type": "websocket.receive", "bytes": b"\xff"}

    left = {"type": "websocket.disconnect", "code": 1001}

    assert asyncio.run(codes_after(None, binary, left)) == []
