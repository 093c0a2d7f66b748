from __future__ import annotations

import email
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread
from typing import Any

import pytest
import uvicorn

from blemish.server.connections import Connections
from blemish.server.http_protocol import HEAD_BYTES, IDLE_S, MAX_PIPELINED, LimitedProtocol
from blemish.server.web_server import WebServer
from blemish.wire.asgi import Receive, Scope, Send, send_start

pytestmark = pytest.mark.acceptance  # it listens, on loopback

PATIENCE_S = 60
HAS_LEFT = Event()
LARGE_BYTES = 64 * 1024 * 1024


async def say_size(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the size of a request's body; `/early` before it came, `/large` with much.

    `/wait` waits until the client leaves.
    """
    if scope["path"] == "/wait":
        while (await receive())["type"] != "http.disconnect":
            pass
        HAS_LEFT.set()
        return
    if scope["path"] != "/":
        size = LARGE_BYTES if scope["path"] == "/large" else 0
        await send_start(send, 200, {"content-length": str(size)})
        await send({"type": "http.response.body", "body": bytes(size)})
        return
    size, message = 0, await receive()
    while message.get("more_body"):
        size += len(message["body"])
        message = await receive()
    text = str(size + len(message.get("body", b""))).encode()
    await send_start(send, 200, {"content-length": str(len(text))})
    await send({"type": "http.response.body", "body": text})


@contextmanager
def served(
    http: Any, connections: Connections, *, idle_s: int = IDLE_S, **tls: str
) -> Iterator[tuple[str, int]]:
    """Serve `say_size`; return the address."""
    config = uvicorn.Config(
        say_size,
        http=http,
        loop="uvloop",
        lifespan="off",
        log_config=None,
        timeout_keep_alive=idle_s,
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
        **tls,  # type: ignore[arg-type]
    )
    server = WebServer(config, connections=connections)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)
        # Where warnings are errors, uvloop waits forever for a connection that is open at its end.
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with served(LimitedProtocol, Connections(100)) as address:
        yield address


@pytest.fixture(scope="module")
def hasty_address() -> Iterator[tuple[str, int]]:
    """Return the address of a server with little patience, for all but silence after an answer."""
    with served(partial(LimitedProtocol, head_s=0.2, write_s=0.2), Connections(100)) as address:
        yield address


@pytest.fixture(scope="module")
def small_address() -> Iterator[tuple[str, int]]:
    """Return the address of a server with two slots."""
    with served(LimitedProtocol, Connections(2)) as address:
        yield address


class Client:
    """One connection, on which requests may follow each other before they are answered."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._incoming = connected.makefile("rb")

    def send(self, *parts: bytes) -> None:
        self._socket.sendall(b"".join(parts))

    def answer(self) -> tuple[int, str]:
        """Return the status and the body of the next answer."""
        status = int(self._incoming.readline().split()[1])
        headers = email.message_from_bytes(b"".join(iter(self._incoming.readline, b"\r\n")))
        return status, self._incoming.read(int(headers["content-length"])).decode()

    def wait_for_continue(self) -> None:
        """Wait until the head has been read."""
        assert b" 100 " in self._incoming.readline()
        assert self._incoming.readline() == b"\r\n"

    def has_ended(self, *, within_s: int = PATIENCE_S) -> bool:
        """Wait until the server ends the connection, and read nothing; return whether it did."""
        poll = select.poll()
        poll.register(self._socket, select.POLLRDHUP)
        return bool(poll.poll(within_s * 1_000))

    def end(self) -> None:
        """End the connection."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def rest(self) -> bytes:
        """Return what comes before the server closes the connection."""
        return self._incoming.read()


@pytest.fixture
def client(address: tuple[str, int]) -> Iterator[Client]:
    with socket.create_connection(address, timeout=PATIENCE_S) as connected:
        yield Client(connected)


@pytest.fixture
def hasty_client(hasty_address: tuple[str, int]) -> Iterator[Client]:
    with socket.create_connection(hasty_address, timeout=PATIENCE_S) as connected:
        yield Client(connected)


def head(size_bytes: int, *headers: bytes) -> bytes:
    """Return a head of so many bytes."""
    begin = b"\r\n".join([b"POST / HTTP/1.1", *headers, b"x: "])
    return begin.ljust(size_bytes - 4, b"a") + b"\r\n\r\n"


@pytest.mark.parametrize(
    "begin",
    [
        b"\r\n" * HEAD_BYTES,
        b"GET /",
        b"GET / HTTP/1.1\r\nx",
        b"GET / HTTP/1.1\r\nx: ",
        b"GET / HTTP/1.1\r\n" + b"x: a\r\n" * 10_000,
    ],
)
def test_a_head_without_an_end_is_refused(client: Client, begin: bytes) -> None:
    client.send(begin.ljust(HEAD_BYTES, b"a")[:HEAD_BYTES], b"a")

    assert client.answer() == (431, "A request may have at most 65536 bytes before its body.")
    assert client.rest() == b""


def test_a_head_of_one_byte_too_many_is_refused(client: Client) -> None:
    client.send(head(HEAD_BYTES + 1))

    assert client.answer()[0] == 431


def test_each_head_is_counted_anew(client: Client) -> None:
    one_by_one = []
    for _ in range(3):
        client.send(head(HEAD_BYTES))
        one_by_one.append(client.answer())
    client.send(head(HEAD_BYTES) * 3)
    at_once = [client.answer() for _ in range(3)]

    assert one_by_one == at_once == [(200, "0")] * 3


def test_a_body_is_not_counted(client: Client) -> None:
    size = 20 * HEAD_BYTES
    whole = head(HEAD_BYTES, b"content-length: %d" % size) + bytes(size)
    piece = b"%x\r\n%b\r\n" % (HEAD_BYTES, bytes(HEAD_BYTES))
    in_chunks = head(HEAD_BYTES, b"transfer-encoding: chunked") + piece * 20 + b"0\r\n\r\n"

    client.send(whole, in_chunks, whole)

    assert [client.answer() for _ in range(3)] == [(200, str(size))] * 3


def test_a_body_byte_by_byte_is_not_counted(client: Client) -> None:
    chunks = b"1\r\na\r\n" * HEAD_BYTES

    client.send(head(100, b"transfer-encoding: chunked"), chunks, b"0\r\n\r\n")

    assert client.answer() == (200, str(HEAD_BYTES))


def test_trailers_without_an_end_close_the_connection(client: Client) -> None:
    client.send(head(100, b"transfer-encoding: chunked", b"expect: 100-continue"))
    client.wait_for_continue()
    client.send(b"0\r\nx: ".ljust(HEAD_BYTES + 1, b"a"))

    assert client.rest() == b""


def test_a_connection_without_a_request_is_closed(hasty_client: Client) -> None:
    assert hasty_client.rest() == b""


def test_a_head_that_does_not_end_is_refused(hasty_client: Client) -> None:
    hasty_client.send(b"GET / HTTP/1.1\r\nx: ")

    assert hasty_client.answer() == (408, "The head of the request came too slowly.")
    assert hasty_client.rest() == b""


def test_a_connection_is_held_after_an_answer(hasty_client: Client) -> None:
    hasty_client.send(head(100))
    hasty_client.answer()

    assert not hasty_client.has_ended(within_s=1)
    hasty_client.send(head(100))
    assert hasty_client.answer() == (200, "0")


def test_a_head_after_another_has_its_time_from_its_first_byte(hasty_client: Client) -> None:
    hasty_client.send(head(100))
    hasty_client.answer()
    hasty_client.send(b"G")

    assert hasty_client.answer() == (408, "The head of the request came too slowly.")


def test_a_silent_connection_is_closed_in_the_end() -> None:
    with (
        served(LimitedProtocol, Connections(100), idle_s=1) as address,
        socket.create_connection(address, timeout=PATIENCE_S) as connected,
    ):
        client = Client(connected)
        client.send(head(100))
        client.answer()

        assert client.rest() == b""


def test_a_body_that_nobody_reads_does_not_hold_the_connection(hasty_client: Client) -> None:
    hasty_client.send(b"POST /early HTTP/1.1\r\ncontent-length: 9\r\n\r\n1")

    assert hasty_client.answer() == (200, "")
    assert hasty_client.rest() == b""


def test_an_answer_that_the_client_does_not_fetch_is_broken_off(hasty_client: Client) -> None:
    hasty_client.send(b"GET /large HTTP/1.1\r\n\r\n")

    assert hasty_client.has_ended()
    with pytest.raises(ConnectionResetError):
        hasty_client.rest()


def test_a_new_connection_takes_the_slot_of_one_that_waits(
    small_address: tuple[str, int],
) -> None:
    request = b"GET /early HTTP/1.1\r\n\r\n"
    with (
        socket.create_connection(small_address, timeout=PATIENCE_S) as first,
        socket.create_connection(small_address, timeout=PATIENCE_S) as second,
    ):
        for waiting in (Client(first), Client(second)):
            waiting.send(request)
            assert waiting.answer() == (200, "")  # and the next head is waited for

        with socket.create_connection(small_address, timeout=PATIENCE_S) as third:
            third.sendall(request)
            assert third.recv(12) == b"HTTP/1.1 200"

        assert first.recv(1) == b""


WEB_SOCKET = (
    b"connection: upgrade",
    b"upgrade: websocket",
    b"sec-websocket-version: 13",
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
)


def test_an_upgrade_to_http_2_is_ignored(client: Client) -> None:
    upgrade = (b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AAMA")
    with_body = head(500, *upgrade, b"content-length: 9") + bytes(9)
    in_chunks = head(500, *upgrade, b"transfer-encoding: chunked") + b"1\r\na\r\n0\r\n\r\n"
    late_body = head(500, *upgrade, b"content-length: 9", b"expect: 100-continue")

    client.send(with_body, in_chunks, head(HEAD_BYTES, *upgrade), late_body)

    assert [client.answer() for _ in range(3)] == [(200, "9"), (200, "1"), (200, "0")]
    client.wait_for_continue()
    client.send(bytes(9), head(100))
    assert [client.answer() for _ in range(2)] == [(200, "9"), (200, "0")]


def test_a_request_for_a_tunnel_is_refused(client: Client) -> None:
    client.send(b"CONNECT / HTTP/1.1\r\n\r\n")

    assert client.answer() == (400, "This server is no proxy.")
    assert client.rest() == b""


@pytest.mark.parametrize(
    "headers", [(b"content-length: 9",), (b"x: " + bytes([97]) * 9_000,), (b"x: 1",) * 200]
)
def test_a_web_socket_whose_head_cannot_be_read_is_refused(
    client: Client, headers: tuple[bytes, ...]
) -> None:
    client.send(b"\r\n".join([b"GET / HTTP/1.1", *WEB_SOCKET, *headers, b"", b""]))

    assert client.answer()[0] == 400
    assert client.rest() == b""


def test_a_web_socket_does_not_take_over_the_connection_of_an_answer(client: Client) -> None:
    client.send(head(100, b"content-length: 9", b"expect: 100-continue"))
    client.wait_for_continue()
    client.send(bytes(9), b"\r\n".join([b"GET / HTTP/1.1", *WEB_SOCKET, b"", b""]))

    assert client.rest() == b""


def test_garbage_is_not_refused_within_an_answer(client: Client) -> None:
    client.send(head(100, b"content-length: 9", b"expect: 100-continue"))
    client.wait_for_continue()
    client.send(bytes(9), b"garbage\r\n\r\n")

    assert client.rest() == b""


def test_few_requests_wait_for_the_answer_to_the_one_before(client: Client) -> None:
    client.send(head(100, b"content-length: 9", b"expect: 100-continue"))
    client.wait_for_continue()
    client.send(bytes(9), b"GET / HTTP/1.1\r\n\r\n" * (MAX_PIPELINED + 1))

    assert client.rest() == b""


def test_a_request_learns_that_its_client_went_although_another_came(client: Client) -> None:
    HAS_LEFT.clear()

    client.send(b"GET /wait HTTP/1.1\r\n\r\n" * 2)
    client.end()

    assert HAS_LEFT.wait(PATIENCE_S)


def test_a_body_that_comes_after_its_answer_leaves_the_connection_open(
    hasty_client: Client,
) -> None:
    hasty_client.send(b"POST /early HTTP/1.1\r\ncontent-length: 9\r\n\r\n1")
    assert hasty_client.answer() == (200, "")
    hasty_client.send(b"23456789")

    assert not hasty_client.has_ended(within_s=1)
    hasty_client.send(head(100))
    assert hasty_client.answer() == (200, "0")
