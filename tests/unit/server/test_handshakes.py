from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import uvloop

from blemish.server.connections import Connections
from blemish.server.http_protocol import LimitedProtocol
from blemish.server.tls import read_certificate
from blemish.server.web_server import Acceptor
from tests.certificates import made, write
from tests.unit.server.test_http_protocol import PATIENCE_S, Client, head, served

pytestmark = pytest.mark.acceptance  # it listens, on loopback


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a certificate and its key."""
    return write(tmp_path_factory.mktemp("tls"), made("localhost"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def silent(address: tuple[str, int], stack: ExitStack) -> socket.socket:
    """Return a connection whose client says nothing, not even that it wants TLS."""
    return stack.enter_context(socket.create_connection(address, timeout=PATIENCE_S))


def test_silent_handshakes_make_way_and_end_with_the_server(
    files: tuple[Path, Path], stack: ExitStack
) -> None:
    connections = Connections(2)
    certificate, key = map(str, files)
    context = ssl.create_default_context(cafile=certificate)
    with served(LimitedProtocol, connections, ssl_certfile=certificate, ssl_keyfile=key) as address:
        first, second = silent(address, stack), silent(address, stack)
        connected = silent(address, stack)
        with context.wrap_socket(connected, server_hostname="localhost") as encrypted:
            client = Client(encrypted)
            client.send(head(100))

            assert client.answer() == (200, "0")
            client.end()
        assert first.recv(1) == b""

    assert second.recv(1) == b""
    assert connections.open == 0


def test_what_makes_way_before_its_handshake_begins_is_closed_too(
    files: tuple[Path, Path], stack: ExitStack
) -> None:
    connections = Connections(1)

    async def accept(listener: socket.socket, first: socket.socket) -> bytes:
        acceptor = Acceptor(
            listener,
            connections=connections,
            protocol=lambda _: asyncio.Protocol(),
            context=read_certificate(*files).context,
        )
        acceptor.start()  # it takes both from the backlog at once
        try:
            return await asyncio.to_thread(first.recv, 1)
        finally:
            acceptor.close()
            await acceptor.wait_closed()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        first, second = (silent(listener.getsockname(), stack) for _ in range(2))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            assert runner.run(accept(listener, first)) == b""

            assert second.recv(1) == b""
            assert connections.open == 0
