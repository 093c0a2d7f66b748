"""Pages belong to the session that opened them: no message of another session reaches them.

The framework takes the name of a page from each message, whoever sends it. A page acts as the
person who opened it, so a message must come by a socket of the same session. The same holds for
files that are sent to an element of a page.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from nicegui import Client
from socketio import AsyncServer
from socketio.exceptions import ConnectionRefusedError as SocketRefusedError
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from blemish.console.paths import ROOT

NAMESPACE = "/"

MESSAGES = ("handshake", "event", "javascript_response", "ack", "log")
"""Messages that name a page, in `client_id`."""

REFUSED = "This page belongs to another session."

_UPLOAD = re.compile(rf"{ROOT}/_nicegui/client/([^/]+)/")


def bind_to_sessions(server: AsyncServer) -> None:
    """Refuse messages about pages of other sessions."""
    handlers = server.handlers[NAMESPACE]
    handlers["connect"] = _bound_connect(handlers["connect"])
    for name in MESSAGES:
        handlers[name] = _bound(handlers[name], server)


class OwnUploads:
    """Refuses files that are sent to pages of other sessions."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hold one socket."""
        match = _UPLOAD.match(scope.get("path", ""))
        if match is None or _owns(scope, match[1]):
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse(REFUSED, 403)(scope, receive, send)


def _bound(handler: Callable[..., Any], server: AsyncServer) -> Callable[..., Any]:
    async def handle(socket_id: str, message: dict[str, Any]) -> Any:
        if not _owns(_scope(server.get_environ(socket_id)), message.get("client_id")):
            return False
        result = handler(socket_id, message)
        return await result if inspect.isawaitable(result) else result

    return handle


def _bound_connect(handler: Callable[..., Any]) -> Callable[..., Any]:
    async def connect(socket_id: str, environ: dict[str, Any], auth: object = None) -> Any:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        client_id = query.get("client_id", [None])[0]
        if client_id in Client.instances and not _owns(_scope(environ), client_id):
            raise SocketRefusedError(REFUSED)
        return await handler(socket_id, environ, auth)

    return connect


def _owns(scope: Scope, client_id: object) -> bool:
    """Return whether the session of a request or a socket opened a page."""
    client = Client.instances.get(client_id) if isinstance(client_id, str) else None
    if client is None:
        return True  # there is nothing that it could reach
    return _token(scope) is not None and _token(scope) == _token(client.request.scope)


def _token(scope: Scope) -> str | None:
    visitor = scope.get("state", {}).get("visitor")
    return None if visitor is None else str(visitor.token)


def _scope(environ: dict[str, Any] | None) -> Scope:
    return (environ or {}).get("asgi.scope") or {}
