"""The history of a line: its verdicts by time, verdict, score, type and model, and as files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from urllib.parse import quote

from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from blemish.console.http import request_visitor
from blemish.console.line.documents import document
from blemish.console.line.history_query import history_filter, query_text
from blemish.console.line.line_access import DESCRIBE, act_on_line, line_url, visible_line
from blemish.console.paths import ROOT
from blemish.console.visitor import Visitor, in_thread
from blemish.line.exports import history_archive, history_table
from blemish.line.history import PAGE, HistoryFilter
from blemish.line.line import Line


@framework.get("/line/{name}/history")
async def show_history(request: Request, name: str) -> Response:
    """Answer with a page of the history."""
    line = await visible_line(request_visitor(request), name)
    query = request.query_params
    wanted = history_filter(query)
    values = await in_thread(_values, line, wanted, query.get("before", ""))
    last = str(values["last"])
    return document(
        "history.html.jinja",
        line=line,
        url=line_url(name),
        root=ROOT,
        query=query,
        older=query_text(query, before=last) if last else "",
        export=query_text(query),
        **values,
    )


@framework.get("/line/{name}/export.csv")
async def export_table(request: Request, name: str) -> Response:
    """Answer with the wanted verdicts as a table."""
    line = await _exported_line(request_visitor(request), name, "ExportLineTable")
    entries = line.history.entries(history_filter(request.query_params))
    return _file(history_table(entries), f"{name}.csv", "text/csv; charset=utf-8")


@framework.get("/line/{name}/export.zip")
async def export_images(request: Request, name: str) -> Response:
    """Answer with the stored images of the wanted verdicts."""
    visitor = request_visitor(request)
    line = await _exported_line(visitor, name, "ExportLineImages")
    entries = line.history.entries(history_filter(request.query_params))
    chunks = history_archive(entries, now=visitor.services.clock())
    return _file(chunks, f"{name}.zip", "application/zip")


async def _exported_line(visitor: Visitor, name: str, operation: str) -> Line:
    """Return a line that the visitor may see; the audit log records what leaves the server."""
    lines = visitor.services.lines
    return await act_on_line(visitor, DESCRIBE, name, operation, lambda: lines.line(name))


def _values(line: Line, wanted: HistoryFilter, before: str) -> dict[str, object]:
    entries = line.history.page(wanted, before=before, limit=PAGE + 1)
    shown = entries[:PAGE]
    return {
        "entries": shown,
        "last": shown[-1].position if len(entries) > PAGE else "",
        "count": line.history.count(wanted),
        "models": line.history.models(),
        "types": line.history.anomaly_types(),
    }


def _file(chunks: Iterator[bytes], name: str, media_type: str) -> Response:
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}",
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_sent(chunks), media_type=media_type, headers=headers)


async def _sent(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (chunk := await in_thread(_next, chunks)) is not None:
        if chunk:
            yield chunk


def _next(chunks: Iterator[bytes]) -> bytes | None:
    return next(chunks, None)
