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
    BodyMessages,
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


def test_a_body_that_drips_is_broken_off_however_steadily_it_comes() -> None:
    now = 0.0

    async def receive() -> dict[str, Any]:
        nonlocal now
        now += 5
        return {"type": "http.request", "body": b"1", "more_body": True}

    async def read_all() -> None:
        messages = BodyMessages(receive, idle_s=30, least_bytes_per_s=1, clock=lambda: now)
        while True:
            await messages.next_message()

    with pytest.raises(BodyTimeoutError, match="less than 1 bytes a second"):
        asyncio.run(read_all())

    assert now == 40  # 30, and one more for each byte that came meanwhile


def test_a_body_takes_memory_for_what_has_come_of_it() -> None:
    async def others_fit() -> bool:
        memory = BodyMemory(4 * SMALL_BYTES)
        with memory.room(2 * SMALL_BYTES), memory.room(2 * SMALL_BYTES) as other:
            await other.grow(2 * SMALL_BYTES)
        with memory.room(4 * SMALL_BYTES) as large:
            await large.grow(4 * SMALL_BYTES)
        return True

    assert asyncio.run(others_fit())


def test_a_body_waits_for_memory_until_another_gives_it_back() -> None:
    async def order() -> list[str]:
        memory, events = BodyMemory(3 * SMALL_BYTES), []

        async def second() -> None:
            with memory.room(2 * SMALL_BYTES) as room:
                await room.grow(2 * SMALL_BYTES)
                events.append("second")

        with memory.room(2 * SMALL_BYTES) as first:
            await first.grow(2 * SMALL_BYTES)
            waiting = asyncio.create_task(second())
            await asyncio.sleep(0)
            events.append("first")
        await waiting
        return events

    assert asyncio.run(order()) == ["first", "second"]


def test_the_body_that_came_first_never_waits_for_bodies_that_wait_for_it() -> None:
    async def order() -> list[str]:
        memory, events = BodyMemory(8 * SMALL_BYTES), []

        async def read(name: str) -> None:
            with memory.room(4 * SMALL_BYTES) as room:
                for size in range(1, 5):
                    await room.grow(size * SMALL_BYTES)
                    await asyncio.sleep(0)
                events.append(name)

        await asyncio.gather(*(read(name) for name in "abc"))
        return events

    assert asyncio.run(order()) == ["a", "b", "c"]


def test_a_body_without_memory_for_too_long_is_refused_and_small_ones_need_none() -> None:
    async def refusal() -> ThrottlingError:
        memory = BodyMemory(2 * SMALL_BYTES, patience_s=0.01)
        with memory.room(2 * SMALL_BYTES) as first, memory.room(2 * SMALL_BYTES) as second:
            await first.grow(2 * SMALL_BYTES)
            await second.grow(SMALL_BYTES)
            with pytest.raises(ThrottlingError) as caught:
                await second.grow(2 * SMALL_BYTES)
            return caught.value

    assert asyncio.run(refusal()).retry_after_s == 1
