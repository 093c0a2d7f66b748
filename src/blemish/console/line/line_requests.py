"""What the full screen of a line asks for: its state over a web socket, images, and changes."""

from __future__ import annotations

import asyncio
import io
import time
from contextlib import aclosing
from dataclasses import replace

import numpy as np
from nicegui import app as framework
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from blemish.console.http import EXPECTED, bounded_body, request_visitor
from blemish.console.language.messages import say
from blemish.console.line.line_access import (
    DESCRIBE,
    SEND,
    START,
    STOP,
    act_on_line,
    visible_line,
)
from blemish.console.visitor import SignedOutError, Visitor, in_thread
from blemish.domain.errors import AccessDeniedError, ResourceNotFoundError, ResourceType
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.orientation import turn
from blemish.line.history import HistoryEntry
from blemish.line.line import Line
from blemish.station.page.shown_image import ShownImage

HEAT_MAP = "heat-map"
THUMBNAIL_SIDE = 240
CACHED = {"Cache-Control": "private, max-age=3600, immutable"}
REFUSED = 4403
"""Close code for a page whose visitor may not see the line any more."""

FAILED = 1011
"""Source: RFC 6455, section 7.4.1."""

RECHECK_S = 4.0
"""How long a page shows a line after its visitor may not see it any more, at most."""


@framework.websocket("/line/{name}/events")
async def send_events(socket: WebSocket, name: str) -> None:
    """Send the state of a line with every change, until the page is closed."""
    visitor: Visitor = socket.state.visitor
    await socket.accept()
    tasks = {
        asyncio.create_task(_send_states(socket, visitor, name)),
        asyncio.create_task(_listen(socket)),
    }
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    except (SignedOutError, AccessDeniedError, ResourceNotFoundError):
        await socket.close(REFUSED)
    except EXPECTED:
        await socket.close(FAILED)  # the page connects again
    except (WebSocketDisconnect, RuntimeError):  # it is closed already
        return
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send_states(socket: WebSocket, visitor: Visitor, name: str) -> None:
    """Send states; look every few seconds whether the visitor may still see the line.

    Raises:
        SignedOutError, AccessDeniedError, ResourceNotFoundError: not any more.
    """
    line = await visible_line(visitor, name)
    checked_at = time.monotonic()
    async with aclosing(line.feed.states()) as states:
        async for state in states:
            if time.monotonic() - checked_at > RECHECK_S:
                await visible_line(visitor, name)
                checked_at = time.monotonic()
            await socket.send_text(state)


async def _listen(socket: WebSocket) -> None:
    """Take the page's signs of life until it is closed."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue


@framework.get("/line/{name}/images/{verdict_id}/{layer}")
async def send_line_image(request: Request, name: str, verdict_id: str, layer: str) -> Response:
    """Answer with the image of a verdict, its heat map, or a small image."""
    line = await visible_line(request_visitor(request), name)
    drawn = await in_thread(_drawn, line, verdict_id, layer)
    if drawn is None:
        raise ResourceNotFoundError(
            say("The image of this verdict is not stored."),
            resource_type=ResourceType.LINE,
            resource_id=name,
        )
    media_type = "image/png" if layer == HEAT_MAP else "image/jpeg"
    return Response(drawn, media_type=media_type, headers=CACHED)


@framework.post("/line/{name}/images")
async def take_line_image(request: Request, name: str) -> Response:
    """Let a line judge an image of the page; answer with the verdict."""
    visitor = request_visitor(request)
    line = await act_on_line(
        visitor, SEND, name, "SendLineImage", lambda: _line_to_send_to(visitor, name)
    )
    limit_bytes = visitor.services.limits.detect_body_bytes
    body = await bounded_body(request, limit_bytes=limit_bytes, subject=say("The image"))
    status, answer = await line.push(body.content or b"", name=request.query_params.get("name"))
    return JSONResponse(dict(answer), status)


@framework.post("/line/{name}/start")
async def start_line(request: Request, name: str) -> Response:
    """Start a line."""
    await set_line_stopped(request_visitor(request), name, stopped=False)
    return Response(status_code=204)


@framework.post("/line/{name}/stop")
async def stop_line(request: Request, name: str) -> Response:
    """Stop a line; it stays so after a restart of the server."""
    await set_line_stopped(request_visitor(request), name, stopped=True)
    return Response(status_code=204)


async def set_line_stopped(visitor: Visitor, name: str, *, stopped: bool) -> None:
    """Start or stop a line.

    Raises:
        SignedOutError: the session is over.
        AccessDeniedError: the policies do not allow it.
        ResourceNotFoundError: there is no such line.
    """
    action, operation = (STOP, "StopLine") if stopped else (START, "StartLine")
    lines = visitor.services.lines
    await act_on_line(visitor, action, name, operation, lambda: lines.run(name, stopped=stopped))


def _line_to_send_to(visitor: Visitor, name: str) -> Line:
    visitor.authorize_blocking(DESCRIBE, visitor.services.lines.arn(name))
    line = visitor.services.lines.line(name)
    visitor.check("DetectAnomalies", ProjectName=line.project, ModelVersion=line.version)
    return line


def _drawn(line: Line, verdict_id: str, layer: str) -> bytes | None:
    shown = line.feed.image(verdict_id)
    try:
        entry = line.history.entry(verdict_id) if shown is None else None
        if shown is None and layer == HEAT_MAP:
            return _stored_heat_map(entry)
        shown = shown or _stored_image(entry)
    except FileNotFoundError:  # the records removed it a moment ago
        return None
    if shown is None:
        return None
    match layer:
        case "heat-map":
            return shown.heat_map
        case "thumbnail":
            return replace(shown, longest_side=THUMBNAIL_SIDE).photo
        case _:
            return shown.photo


def _stored_image(entry: HistoryEntry | None) -> ShownImage | None:
    if entry is None or entry.verdict.image_path is None:
        return None
    return ShownImage(
        verdict=entry.verdict,
        content=entry.verdict.image_path.read_bytes(),
        anomaly_map=np.zeros((1, 1), np.float32),
    )


def _stored_heat_map(entry: HistoryEntry | None) -> bytes | None:
    """Return the stored heat map, turned as browsers turn the image."""
    if entry is None or entry.verdict.heat_map_path is None or entry.verdict.image_path is None:
        return None
    orientation = read_image_header(entry.verdict.image_path.read_bytes()).orientation
    if orientation == 1:
        return entry.verdict.heat_map_path.read_bytes()
    with Image.open(entry.verdict.heat_map_path) as stored:
        pixels = np.asarray(stored.convert("RGBA"))
    output = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(turn(pixels, orientation))).save(output, "PNG")
    return output.getvalue()
