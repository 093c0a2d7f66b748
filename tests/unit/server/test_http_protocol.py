from __future__ import annotations

import email
import socket
from collections.abc import Iterator
from threading import Thread

import pytest
import uvicorn

from blemish.server.http_protocol import HEAD_BYTES, LimitedProtocol
from blemish.wire.asgi import Receive, Scope, Send, send_start

pytestmark = pytest.mark.acceptance  # it listens, on loopback

PATIENCE_S = 20


async def say_size(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the size of a request's body."""
    del scope
    size, message = 0, await receive()
    while message.get("more_body"):
        size += len(message["body"])
        message = await receive()
    text = str(size + len(message.get("body", b""))).encode()
    await send_start(send, 200, {"content-length": str(len(text))})
    await send({"type": "http.response.body", "body": text})


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    config = uvicorn.Config(
        say_size,
        http=LimitedProtocol,
        loop="uvloop",
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()
        server.should_exit = True
        thread.join()


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

    def rest(self) -> bytes:
        """Return what comes before the server closes the connection."""
        return self._incoming.read()


@pytest.fixture
def client(address: tuple[str, int]) -> Iterator[Client]:
    with socket.create_connection(address, timeout=PATIENCE_S) as connected:
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
