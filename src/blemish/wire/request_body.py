"""The body of a request, read up to a limit and hashed to its end.

A body over the limit is read and hashed but not stored, so that a caller with the right signature
gets an answer. If a body is many times too large, the connection is closed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import anyio

from blemish.domain.errors import ThrottlingError
from blemish.wire.asgi import Receive
from blemish.wire.errors import BodyTimeoutError, RequestEntityTooLargeError

HARD_STOP = 8
"""Multiple of the limit at which a body is read no further."""

IDLE_S = 60
"""Time that a client may pause while it sends a body."""


SMALL_BYTES = 64 * 1024
"""Bodies up to this size are read regardless of memory: a server buffers as much of a socket."""


class ClientGoneError(Exception):
    """The client hung up before its request was complete."""


@dataclass(frozen=True, slots=True)
class BufferedBody:
    """A body that was read to its end."""

    #: None if it is over the limit
    content: bytes | None
    size_bytes: int
    #: in hexadecimal digits
    sha256: str


class BodyMemory:
    """The memory for bodies, from their first byte until their requests are answered.

    Bodies arrive before the sender is known, and those of detections stay while they wait in a
    queue. A body without memory for it is not read. Belongs to the thread of the event loop.
    """

    def __init__(self, size_bytes: int) -> None:
        self._free_bytes = size_bytes

    @contextmanager
    def reserve(self, size_bytes: int) -> Iterator[None]:
        """Reserve memory for a body until the end of the context.

        Raises:
            ThrottlingError: there is not enough memory.
        """
        taken = size_bytes if size_bytes > SMALL_BYTES else 0
        if taken > self._free_bytes:
            raise ThrottlingError(
                "The server holds as many large bodies as it has room for. "
                "Come back in a second, or send fewer at once.",
                retry_after_s=1,
            )
        self._free_bytes -= taken
        try:
            yield
        finally:
            self._free_bytes += taken


async def next_message(receive: Receive, *, idle_s: float) -> MutableMapping[str, Any]:
    """Return the next part of a body.

    Raises:
        ClientGoneError: the client hung up.
        BodyTimeoutError: nothing came for too long.
    """
    try:
        with anyio.fail_after(idle_s):
            message = await receive()
    except TimeoutError:
        raise BodyTimeoutError(f"Nothing of the body came for {idle_s} seconds.") from None
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    return message


async def read_body(
    receive: Receive, *, limit_bytes: int, declared_bytes: int | None, idle_s: float = IDLE_S
) -> BufferedBody:
    """Read a body from an ASGI server; `declared_bytes` is its Content-Length, if it has one.

    Raises:
        RequestEntityTooLargeError: it is over `HARD_STOP` times the limit.
        BodyTimeoutError: nothing came for too long.
        ClientGoneError: the client hung up.
    """
    hard_stop = HARD_STOP * limit_bytes
    _check_size(declared_bytes or 0, hard_stop=hard_stop)
    digest = hashlib.sha256()
    content_buffer = BytesIO()  # it grows in place; joining chunks would need twice the memory
    size = 0
    more = True
    while more:
        message = await next_message(receive, idle_s=idle_s)
        chunk = message.get("body", b"")
        size += len(chunk)
        _check_size(size, hard_stop=hard_stop)
        digest.update(chunk)
        if size > limit_bytes:
            content_buffer = BytesIO()
        else:
            content_buffer.write(chunk)
        more = message.get("more_body", False)
    content = content_buffer.getvalue() if size <= limit_bytes else None
    return BufferedBody(content, size, digest.hexdigest())


def _check_size(size_bytes: int, *, hard_stop: int) -> None:
    if size_bytes > hard_stop:
        raise RequestEntityTooLargeError(f"A body may not have more than {hard_stop} bytes.")
