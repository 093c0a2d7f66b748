"""The body of a request, read up to a limit and hashed to its end.

A body over the limit is read and hashed but not stored, so that a caller with the right signature
gets an answer. If a body is many times too large, the connection is closed.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from blemish.domain.errors import ThrottlingError
from blemish.wire.asgi import Receive
from blemish.wire.errors import BodyTimeoutError, RequestEntityTooLargeError

HARD_STOP = 8
"""Multiple of the limit at which a body is read no further."""

IDLE_S = 30
"""Time that a client may pause while it sends a body."""

LEAST_BYTES_PER_S = 1024
"""How fast a body must come, on average, after `IDLE_S` in which it may come as it likes."""

PATIENCE_S = 10.0
"""How long a body waits for memory before its request is refused."""

FULL = (
    "The server holds as many large bodies as it has room for. "
    "Come back in a second, or send fewer at once."
)

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


EMPTY = BufferedBody(b"", 0, hashlib.sha256().hexdigest())
"""A body that does not come."""


class BodyMemory:
    """The memory for bodies, from their first byte until their requests are answered.

    A body takes memory for what has come of it. If there is not enough, it waits its turn. The body
    that came first always gets what it needs, up to its limit: a part of the memory is for it
    alone, so that bodies that are half there do not wait for each other. Belongs to the thread of
    the event loop.
    """

    def __init__(self, size_bytes: int, *, patience_s: float = PATIENCE_S) -> None:
        self._size_bytes = size_bytes
        self._patience_s = patience_s
        self._taken_bytes = 0
        #: those with memory, in the order in which they got some
        self._rooms: dict[BodyRoom, None] = {}
        self._waiting: dict[BodyRoom, tuple[int, asyncio.Future[None]]] = {}

    @contextmanager
    def room(self, limit_bytes: int) -> Iterator[BodyRoom]:
        """Return the room of a body of at most `limit_bytes`, until the end of the context."""
        room = BodyRoom(self, limit_bytes)
        try:
            yield room
        finally:
            room.shrink()

    async def take(self, room: BodyRoom, size_bytes: int) -> None:
        """Give memory to a body; `BodyRoom.grow` calls this.

        Raises:
            ThrottlingError: there is not enough for too long.
        """
        if not self._waiting and self._fits(room, size_bytes):
            self._give(room, size_bytes)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[room] = size_bytes, turn
        self._serve()
        try:
            async with asyncio.timeout(self._patience_s):
                await turn
        except TimeoutError:
            raise ThrottlingError(FULL, retry_after_s=1) from None
        finally:
            self._waiting.pop(room, None)
            self._serve()

    def give_back(self, room: BodyRoom) -> None:
        """Take the memory of a body back; `BodyRoom.shrink` calls this."""
        if room in self._rooms:
            del self._rooms[room]
            self._taken_bytes -= room.size_bytes
            self._serve()

    def _serve(self) -> None:
        """Give memory to those that wait, in order; the oldest body need not wait for others."""
        oldest = next(iter(self._rooms), None)
        if oldest in self._waiting:
            self._give_waiting(oldest)
        while self._waiting:
            room = next(iter(self._waiting))
            if not self._give_waiting(room):
                break

    def _give_waiting(self, room: BodyRoom) -> bool:
        size_bytes, turn = self._waiting[room]
        if turn.done():  # it gave up
            del self._waiting[room]
            return True
        if not self._fits(room, size_bytes):
            return False
        del self._waiting[room]
        self._give(room, size_bytes)
        turn.set_result(None)
        return True

    def _fits(self, room: BodyRoom, size_bytes: int) -> bool:
        oldest = next(iter(self._rooms), room)
        left_to_oldest = 0 if room is oldest else oldest.limit_bytes - oldest.size_bytes
        return self._taken_bytes + left_to_oldest + size_bytes <= self._size_bytes

    def _give(self, room: BodyRoom, size_bytes: int) -> None:
        self._rooms[room] = None
        self._taken_bytes += size_bytes
        room.size_bytes += size_bytes


class BodyRoom:
    """The memory that one body has taken."""

    def __init__(self, memory: BodyMemory, limit_bytes: int) -> None:
        self._memory = memory
        self.limit_bytes = limit_bytes
        self.size_bytes = 0

    async def grow(self, body_bytes: int) -> None:
        """Have memory for so much of the body; the first `SMALL_BYTES` need none.

        Raises:
            ThrottlingError: there is not enough for too long.
        """
        missing_bytes = min(body_bytes, self.limit_bytes) - self.size_bytes
        if body_bytes > SMALL_BYTES and missing_bytes > 0:
            await self._memory.take(self, missing_bytes)

    def shrink(self) -> None:
        """Give all memory back."""
        self._memory.give_back(self)
        self.size_bytes = 0


class BodyMessages:
    """The parts of a body as an ASGI server hands them on, which may not come too slowly.

    Only the time counts in which the reader waits for the client.
    """

    def __init__(
        self,
        receive: Receive,
        *,
        idle_s: float = IDLE_S,
        least_bytes_per_s: int = LEAST_BYTES_PER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receive = receive
        self._idle_s = idle_s
        self._least_bytes_per_s = least_bytes_per_s
        self._clock = clock
        self._waited_s = 0.0
        self._size_bytes = 0

    async def next_message(self) -> MutableMapping[str, Any]:
        """Return the next part.

        Raises:
            ClientGoneError: the client hung up.
            BodyTimeoutError: nothing came for too long, or all of it comes too slowly.
        """
        earned_s = self._size_bytes / self._least_bytes_per_s
        left_s = self._idle_s + earned_s - self._waited_s
        started_at = self._clock()
        try:
            if left_s <= 0:  # `timeout` ends a wait, and there may be none
                raise TimeoutError
            async with asyncio.timeout(min(self._idle_s, left_s)):
                message = await self._receive()
        except TimeoutError:
            raise BodyTimeoutError(
                f"Nothing of the body came for {self._idle_s:g} seconds, or less than "
                f"{self._least_bytes_per_s} bytes a second."
            ) from None
        self._waited_s += self._clock() - started_at
        self._size_bytes += len(message.get("body", b""))
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        return message


async def read_body(
    receive: Receive,
    *,
    limit_bytes: int,
    declared_bytes: int | None,
    idle_s: float = IDLE_S,
    room: BodyRoom | None = None,
    is_stored: bool = True,
) -> BufferedBody:
    """Read a body from an ASGI server.

    Args:
        receive: from the server.
        limit_bytes: up to which size the body is stored.
        declared_bytes: its Content-Length, if it has one.
        idle_s: time that the client may pause.
        room: takes memory for the body; None if the limit is small.
        is_stored: False to hash it alone.

    Raises:
        RequestEntityTooLargeError: it is over `HARD_STOP` times the limit.
        BodyTimeoutError: nothing came for too long, or it came too slowly.
        ClientGoneError: the client hung up.
        ThrottlingError: there is no memory for it.
    """
    hard_stop = HARD_STOP * limit_bytes
    stored_bytes = limit_bytes if is_stored else 0
    _check_size(declared_bytes or 0, hard_stop=hard_stop)
    digest = hashlib.sha256()
    content_buffer = BytesIO()  # it grows in place; joining chunks would need twice the memory
    messages = BodyMessages(receive, idle_s=idle_s)
    size = 0
    more = True
    while more:
        message = await messages.next_message()
        chunk = message.get("body", b"")
        size += len(chunk)
        _check_size(size, hard_stop=hard_stop)
        digest.update(chunk)
        if size > stored_bytes:
            content_buffer = BytesIO()
            if room is not None:
                room.shrink()
        else:
            if room is not None:
                await room.grow(size)
            content_buffer.write(chunk)
        more = message.get("more_body", False)
    content = content_buffer.getvalue() if size <= stored_bytes else None
    return BufferedBody(content, size, digest.hexdigest())


def _check_size(size_bytes: int, *, hard_stop: int) -> None:
    if size_bytes > hard_stop:
        raise RequestEntityTooLargeError(f"A body may not have more than {hard_stop} bytes.")
