from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any
from weakref import ref

from anyio import CapacityLimiter

from blemish.wire.messages import HttpResponse
from blemish.wire.sending import send_response


def answer(blocks: Iterator[bytes], *, leaves: bool, sent: list[Any]) -> ref[Any]:
    """Send blocks to a client that may leave at the first of them; return what it came by."""

    async def converse() -> ref[Any]:
        has_block = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await has_block.wait()
            if not leaves:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message.get("body"))
            if "body" in message:
                has_block.set()
                await (asyncio.Event().wait() if leaves else asyncio.sleep(0))

        await send_response(
            HttpResponse(200, {}, b"", blocks),
            method="GET",
            receive=receive,
            send=send,
            threads=CapacityLimiter(1),
        )
        return ref(receive)

    return asyncio.run(converse())


def test_an_answer_in_blocks_leaves_nothing_for_a_collection_of_garbage() -> None:
    sent: list[Any] = []

    gc.disable()
    try:
        left = answer(iter([b"1", b"2"]), leaves=False, sent=sent)()
    finally:
        gc.enable()

    assert left is None
    assert sent == [None, b"1", b"2", b""]


def test_a_client_that_leaves_ends_the_blocks() -> None:
    sent: list[Any] = []
    ended = []

    def blocks() -> Iterator[bytes]:
        try:
            yield b"1"
            yield b"2"
        finally:
            ended.append(True)

    answer(blocks(), leaves=True, sent=sent)

    assert ended == [True]
    assert sent == [None, b"1"]
