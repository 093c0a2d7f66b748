"""Sending of responses to an ASGI server: whole, or block by block."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from anyio import CancelScope, CapacityLimiter, to_thread

from blemish.wire.asgi import Receive, Send, send_start
from blemish.wire.messages import HttpResponse

_BODYLESS_STATUSES = frozenset({204, 304})


async def send_response(
    response: HttpResponse,
    *,
    method: str,
    receive: Receive,
    send: Send,
    threads: CapacityLimiter,
) -> None:
    """Send a response; its blocks are read in worker threads.

    If reading a block fails, the connection is closed.
    """
    if response.blocks is None:
        await _send_whole(send, response, method=method)
    else:
        await _send_blocks(send, receive, response, response.blocks, threads=threads)


def close_blocks(blocks: object) -> None:
    """Close an iterator of blocks, if it can be closed."""
    close = getattr(blocks, "close", None)
    if close is not None:
        close()


async def _send_whole(send: Send, response: HttpResponse, *, method: str) -> None:
    headers, body = dict(response.headers), response.body
    if response.status in _BODYLESS_STATUSES:
        headers.pop("content-type", None)
        headers.pop("content-length", None)
        body = b""
    else:
        headers.setdefault("content-length", str(len(body)))
    await send_start(send, response.status, headers)
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})


async def _send_blocks(
    send: Send,
    receive: Receive,
    response: HttpResponse,
    blocks: Iterator[bytes],
    *,
    threads: CapacityLimiter,
) -> None:
    async def next_block() -> bytes | None:
        return await to_thread.run_sync(next, blocks, None, limiter=threads)

    with CancelScope() as scope:
        # a task group would hold all this in a circle, with the error of the task that it cancels
        watching = asyncio.create_task(_cancel_on_disconnect(receive, scope))
        try:
            await send_start(send, response.status, response.headers)
            while (block := await next_block()) is not None:
                await send({"type": "http.response.body", "body": block, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            watching.cancel()
            close_blocks(blocks)


async def _cancel_on_disconnect(receive: Receive, scope: CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
