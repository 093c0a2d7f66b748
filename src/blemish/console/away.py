"""The answer while the database, or what else a page needs, does not answer.

A browser that opened a page gets a small one, which tries again by itself. Scripts and sockets get
the sentence alone.
"""

from __future__ import annotations

import html

from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp
from starlette.websockets import WebSocketClose

from blemish.console.language.messages import later, say
from blemish.console.language.visitor_language import current_language
from blemish.console.paths import STATIC
from blemish.wire.errors import RETRY_AFTER_S

DATABASE_AWAY = later("The server's database does not answer, or takes no changes now. Try again.")
"""Instead of the reason, which names the address of the database; the log has it."""

RELOADS = later("This page tries again by itself.")

RELOAD_S = 5

TRY_AGAIN_LATER = 1013
"""Source: the registry of close codes of RFC 6455, section 11.7."""

HEADERS = {"Retry-After": RETRY_AFTER_S, "Cache-Control": "no-store"}


def away_answer(connection: HTTPConnection) -> ASGIApp:
    """Return the answer to a request or a socket, with status 503."""
    if connection.scope[
        "type"
    ] == "websocket" and "websocket.http.response" not in connection.scope.get("extensions", {}):
        return WebSocketClose(code=TRY_AGAIN_LATER)
    return away_response(connection, say(DATABASE_AWAY))


def away_response(connection: HTTPConnection, problem: str) -> Response:
    """Return the answer to a request: a page for a person, a sentence for a script."""
    if "text/html" not in connection.headers.get("accept", ""):
        return PlainTextResponse(problem, status_code=503, headers=HEADERS)
    content = (
        f'<!doctype html><html lang="{current_language()}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="refresh" content="{RELOAD_S}"><title>Blemish</title>'
        f'<link rel="stylesheet" href="{STATIC}console.css">'
        f'<script src="{STATIC}theme.js"></script></head><body class="sign-in"><main>'
        f'<h1>Blemish</h1><p role="alert">{html.escape(problem)}</p>'
        f'<p class="quiet">{html.escape(say(RELOADS))}</p></main></body></html>'
    )
    return HTMLResponse(content, status_code=503, headers=HEADERS)
