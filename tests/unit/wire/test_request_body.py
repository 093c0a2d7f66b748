from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.errors import ThrottlingError
from blemish.wire.errors import BodyTimeoutError, RequestEntityTooLargeError
from blemish.wire.request_body import (
    HARD_STOP,
    SMALL_BYTES,
    BodyMemory,
    BufferedBody,
    ClientGoneError,
    read_body,
)


class Sender:
    """Gives a body chunk by chunk, and counts what was taken."""

    def __init__(self, chunks: Iterable[bytes], *, hangs_up: bool = False) -> None:
        self._messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
        ]
        last = {"type": "http.disconnect"} if hangs_up else {"type": "http.request"}
        self._messages.append(last)
        self.taken = 0

    async def receive(self) -> dict[str, Any]:
        self.taken += 1
        return self._messages.pop(0)


def read(sender: Sender, *, limit_bytes: int, declared_bytes: int | None = None) -> BufferedBody:
    return asyncio.run(
        read_body(sender.receive, limit_bytes=limit_bytes, declared_bytes=declared_bytes)
    )


@given(chunks=st.lists(st.binary(max_size=4), max_size=8), limit_bytes=st.integers(8, 40))
def test_a_body_is_hashed_to_its_end_and_kept_up_to_the_limit(
    chunks: list[bytes], limit_bytes: int
) -> None:
    whole = b"".join(chunks)

    body = read(Sender(chunks), limit_bytes=limit_bytes)

    assert body.sha256 == hashlib.sha256(whole).hexdigest()
    assert body.size_bytes == len(whole)
    assert body.content == (whole if len(whole) <= limit_bytes else None)


def test_far_above_the_limit_reading_stops() -> None:
    sender = Sender([b"1234"] * 100)

    with pytest.raises(RequestEntityTooLargeError, match=f"{HARD_STOP * 10} bytes"):
        read(sender, limit_bytes=10)

    assert sender.taken == HARD_STOP * 10 // 4 + 1


def test_a_declared_length_far_above_the_limit_is_not_even_begun() -> None:
    sender = Sender([b"1234"])

    with pytest.raises(RequestEntityTooLargeError):
        read(sender, limit_bytes=10, declared_bytes=HARD_STOP * 10 + 1)

    assert sender.taken == 0


def test_a_client_that_hangs_up_is_gone() -> None:
    with pytest.raises(ClientGoneError):
        read(Sender([b"1234"], hangs_up=True), limit_bytes=10)


def test_a_client_that_sends_nothing_is_not_waited_for() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")

    with pytest.raises(BodyTimeoutError, match=r"0\.01 seconds"):
        asyncio.run(read_body(receive, limit_bytes=10, declared_bytes=None, idle_s=0.01))


def test_bodies_are_held_while_there_is_room_and_leave_it_to_others() -> None:
    room = BodyMemory(3 * SMALL_BYTES)

    with room.reserve(2 * SMALL_BYTES):
        with pytest.raises(ThrottlingError) as caught, room.reserve(SMALL_BYTES + 1):
            pass
        with room.reserve(SMALL_BYTES), room.reserve(SMALL_BYTES), room.reserve(0):
            pass  # small ones are always read

    with room.reserve(3 * SMALL_BYTES):
        pass
    assert caught.value.retry_after_s == 1
