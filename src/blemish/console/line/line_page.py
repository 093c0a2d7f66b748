"""The page of a line: its verdicts on a full screen, without the framework.

It is a document of its own, so that it opens in a moment and lives through a shift on a small
machine, and connects again after a restart of the server.
"""

from __future__ import annotations

from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import Response

from blemish.console.http import request_visitor
from blemish.console.line.documents import document
from blemish.console.line.line_access import (
    SEND,
    START,
    STOP,
    line_url,
    may_on_line,
    visible_line,
)
from blemish.console.line.reported import reported_messages
from blemish.console.paths import ROOT
from blemish.console.visitor import Visitor
from blemish.line.line import Line


@framework.get("/line/{name}")
async def show_line(request: Request, name: str) -> Response:
    """Answer with the full screen of a line."""
    visitor = request_visitor(request)
    line = await visible_line(visitor, name)
    may_run = await may_on_line(visitor, START, name) and await may_on_line(visitor, STOP, name)
    return document(
        "line.html.jinja",
        line=line,
        url=line_url(name),
        may_run=may_run,
        root=ROOT,
        reported=reported_messages(),
    )


@framework.get("/line/{name}/camera")
async def show_camera(request: Request, name: str) -> Response:
    """Answer with the page that sends the images of this browser's camera to a line."""
    visitor = request_visitor(request)
    line = await visible_line(visitor, name)
    return document(
        "camera.html.jinja",
        line=line,
        url=line_url(name),
        root=ROOT,
        may_send=await _may_send(visitor, line),
        has_source=bool(line.config and line.config.browser_sources()),
    )


async def _may_send(visitor: Visitor, line: Line) -> bool:
    return await may_on_line(visitor, SEND, line.name) and await visitor.may(
        "DetectAnomalies", ProjectName=line.project, ModelVersion=line.version
    )
