"""The page of reviews: one uncertain image after the other, answered by a key."""

from __future__ import annotations

from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import Response

from blemish.console.http import request_visitor
from blemish.console.line.documents import document
from blemish.console.line.line_access import REVIEW, line_url, may_on_line, visible_line
from blemish.console.paths import ROOT


@framework.get("/line/{name}/review")
async def show_reviews(request: Request, name: str) -> Response:
    """Answer with the page."""
    visitor = request_visitor(request)
    line = await visible_line(visitor, name)
    return document(
        "review.html.jinja",
        line=line,
        url=line_url(name),
        root=ROOT,
        may_review=await may_on_line(visitor, REVIEW, name),
    )
