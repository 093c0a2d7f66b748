from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
import uvicorn

from blemish.server import web_server
from blemish.server.connections import Connections
from blemish.server.web_server import WebServer


class Node:
    """Refers to itself, so that only a collection of garbage ends it."""

    def __init__(self) -> None:
        self.node = self


def test_old_garbage_is_collected_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "ALL_COLLECTED_AFTER_S", 0.0)
    server = WebServer(uvicorn.Config("no:app", lifespan="off"), connections=Connections(1))
    node = Node()
    remembered = weakref.ref(node)
    gc.collect(1)  # it is among the old objects now
    del node
    gc.collect(1)
    assert remembered() is not None

    asyncio.run(server.on_tick(1))

    assert remembered() is None
