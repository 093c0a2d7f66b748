"""HTTP as uvicorn speaks it, with limits on the size and the time of what is no body.

    a head, and trailers        HEAD_BYTES
    the first head, and every other one from its first byte     HEAD_S
    the rest of a body that nobody reads                        HEAD_S
    silence after an answer                                     IDLE_S
    an answer that the client does not fetch                    WRITE_S, then LEAST_BYTES_PER_S

How slowly a body may come is decided where it is read: see `wire.request_body`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from functools import partial
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from blemish.server.connections import Slot

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

HEAD_BYTES = 64 * 1024
"""How long the address and the headers of a request may be together.

As long as AWS's own load balancers let them be; S3 takes headers of 8 KiB, and a presigned link
has its headers, tags and token in the address. uvicorn's other parser, h11, stops here too.

Source: Elastic Load Balancing, "Quotas for your Application Load Balancers", HTTP headers.
"""

HEAD_S = 60.0
"""How long a head may take to come, from the start of its connection or from its first byte.

A connection that waits holds about 20 KB and a slot, which it gives up to the next one if there are
no others: that costs less than closing it, since whoever wants to wait comes back. nginx has as
much patience (`client_header_timeout`).
"""

IDLE_S = 75
"""How long a client may be silent after an answer.

Longer than load balancers keep an idle connection to a server, 60 seconds by default: if the server
closed it first, a request could be on its way meanwhile.

Source: Elastic Load Balancing, "Connection idle timeout"; nginx, `keepalive_timeout` of upstreams.
"""

WRITE_S = 30.0
"""How often it is checked whether a client fetches its answer."""

LEAST_BYTES_PER_S = 1024
"""How fast a client must fetch an answer that does not fit into the buffers between."""

MAX_PIPELINED = 64
"""How many requests of a connection may wait for the answer to the one before.

Each takes 5 KB, and its head 18 bytes. A client that gets no answer sends its request again, on
another connection.
"""

TOO_LARGE = f"A request may have at most {HEAD_BYTES} bytes before its body."
TOO_SLOW = "The head of the request came too slowly."
NO_HANDSHAKE = "The request for a WebSocket has a body, or a head that is too long."


class CountedSocket(WebSocketsSansIOProtocol):
    """A WebSocket, which takes over the slot of its connection."""

    def __init__(self, *arguments: Any, slot: Slot | None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._slot = slot

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the slot back."""
        if self._slot is not None:
            self._slot.release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; the first of it is a whole head, which is refused if it cannot be read.

        `websockets` tells nobody that it could not, and would wait forever.
        """
        super().data_received(data)
        if not self.handshake_initiated and not self.transport.is_closing():
            _write_refusal(self.transport, b"400 Bad Request", NO_HANDSHAKE)
            self.transport.close()


class _PipelineError(Exception):
    """Too many requests of a connection wait for answers."""


class LimitedProtocol(HttpToolsProtocol):
    """A connection on which nothing that is no body is endless, in bytes or in time.

    httptools keeps a header until it is complete, however long that takes, and calls nobody
    meanwhile; so the bytes are counted that go into it while nothing comes out. A head that comes
    in one piece with the end of a body is counted from the next piece on.
    """

    _buffered_bytes = 0
    _in_body = False
    _is_idle = False
    _is_upgrade_ignored = False

    def __init__(
        self,
        *arguments: Any,
        slot: Slot | None = None,
        head_s: float = HEAD_S,
        write_s: float = WRITE_S,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._slot = slot
        self._head_s = head_s
        self._write_s = write_s
        if self.ws_protocol_class is WebSocketsSansIOProtocol:
            self.ws_protocol_class = partial(CountedSocket, slot=slot)  # type: ignore[assignment]
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the slot back, and tell the request under way."""
        self._stop_waiting()
        self._stop_watching()
        if self._running is not None and self._running is not self.cycle:
            self._running.disconnected = True  # uvicorn tells the last request that came
            self._running.message_event.set()
        self._running = None
        if self._slot is not None:
            self._slot.release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; of a head no more at once than is left to it."""
        if self._is_idle:
            self._is_idle = False
            self._wait_for_head()
        while data and not self._is_over():
            left_bytes = len(data) if self._in_body else HEAD_BYTES - self._buffered_bytes
            if left_bytes == 0:
                self._refuse(b"431 Request Header Fields Too Large", TOO_LARGE)
                return
            chunk, data = data[:left_bytes], data[left_bytes:]
            self._buffered_bytes += len(chunk)
            data = self._parse(chunk) + data
            if self._buffered_bytes > HEAD_BYTES:  # of trailers
                self._refuse(b"431 Request Header Fields Too Large", TOO_LARGE)
                return

    def on_headers_complete(self) -> None:
        """Begin to answer the request, unless its head is to be read again."""
        self._is_upgrade_ignored = self.parser.should_upgrade() and not self._should_upgrade()
        if self._is_upgrade_ignored:
            return
        self._stop_waiting()
        self._stop_idling()
        self._in_body = True
        self._buffered_bytes = 0
        super().on_headers_complete()
        if len(self.pipeline) > MAX_PIPELINED:
            raise _PipelineError

    def on_body(self, body: bytes) -> None:
        """Hand a part of the body on."""
        self._buffered_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body; what comes next is another request."""
        if self._is_upgrade_ignored:
            return
        self._in_body = False
        self._buffered_bytes = 0
        super().on_message_complete()
        if self._head_timer is not None:  # it was answered before its end
            self._idle()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, unless the answer to another request is still on its way."""
        if self._is_answering():
            self.transport.close()
        else:
            super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        """Wait for the next head, unless the next request is there already."""
        super().on_response_complete()  # it closes the connection after `IDLE_S` of silence
        if not self.cycle.response_complete or self._is_over():
            return
        if self._in_body or self._buffered_bytes:
            self._wait_for_head()
        else:
            self._idle()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request."""
        if self._is_answering():  # it would go into an answer
            self.transport.close()
        else:
            super().send_400_response(msg)

    def pause_writing(self) -> None:
        """Watch whether the client fetches what is written."""
        super().pause_writing()
        self._watch_writing()

    def resume_writing(self) -> None:
        """Watch no longer."""
        self._stop_watching()
        super().resume_writing()

    def make_way(self) -> None:
        """Close a connection on which no request is under way."""
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _parse(self, data: bytes) -> bytes:
        """Hand data to the parser; return what it has not taken."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")
        except httptools.HttpParserUpgrade as upgrade:
            if not self._is_upgrade_ignored:
                self.handle_websocket_upgrade()
            elif self.parser.get_method() == b"CONNECT":
                self.send_400_response("This server is no proxy.")
            else:
                return self._head_without_upgrade() + data[upgrade.args[0] :]
        return b""

    def _head_without_upgrade(self) -> bytes:
        """Return the head of a request for another protocol than WebSocket, without its Upgrade.

        Java's client asks for HTTP/2 like this. A server may ignore it, but the parser takes what
        follows the head for the other protocol, a body too: so it begins anew.
        """
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += (b"%b: %b" % header for header in self.headers if header[0] != b"upgrade")
        self._buffered_bytes = 0
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"\r\n".join([*lines, b"", b""])

    def _idle(self) -> None:
        """Let the client be silent for a while."""
        self._stop_waiting()
        self._stop_idling()
        self._is_idle = True
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
        self._offer_slot()

    def _stop_idling(self) -> None:
        self._is_idle = False
        self._unset_keepalive_if_required()

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self._head_timer = self.loop.call_later(
            self._head_s, self._refuse, b"408 Request Timeout", TOO_SLOW
        )
        self._offer_slot()

    def _offer_slot(self) -> None:
        if self._slot is not None:
            self._slot.wait(self)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if self._slot is not None:
            self._slot.work()

    def _watch_writing(self) -> None:
        self._stop_watching()
        unsent_bytes = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(self._write_s, self._check_writing, unsent_bytes)

    def _stop_watching(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _check_writing(self, unsent_bytes: int) -> None:
        """Break the connection off if the client has fetched too little since the last check."""
        fetched_bytes = unsent_bytes - self.transport.get_write_buffer_size()
        if fetched_bytes < self._write_s * LEAST_BYTES_PER_S:
            _forget_unsent(self.transport)
            self.transport.abort()
        else:
            self._watch_writing()

    def _is_over(self) -> bool:
        """Return whether the connection is closed, or another protocol has taken it over."""
        return self.transport.is_closing() or self.transport.get_protocol() is not self

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: bytes, message: str) -> None:
        if self._buffered_bytes and not self._is_answering():  # else it would go into an answer
            _write_refusal(self.transport, status, message)
        self.transport.close()


def _write_refusal(transport: asyncio.Transport, status: bytes, message: str) -> None:
    transport.write(
        b"HTTP/1.1 %b\r\n"
        b"content-type: text/plain; charset=utf-8\r\n"
        b"content-length: %d\r\n"
        b"connection: close\r\n\r\n%b" % (status, len(message), message.encode())
    )


def _forget_unsent(transport: asyncio.Transport) -> None:
    """Let the system forget what the client has not fetched, too, when the connection is closed."""
    connected = transport.get_extra_info("socket")
    with socket.fromfd(connected.fileno(), connected.family, connected.type) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
