"""The console on a port of its own, so that no object of S3 shares an origin with it.

API's port       /console... -> a redirect to the other port     else -> API, S3, STS, monitors
console's port   /console... -> the console                      else -> 404
"""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import PlainTextResponse, RedirectResponse

from blemish.console.paths import API_PORT
from blemish.server.front import Application, is_for_console
from blemish.wire.asgi import Receive, Scope, Send

ALONE = "This port has the console alone, at /console. Send other requests to the API's port."
ELSEWHERE = "The console is at port {port} of this server."

_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")


class ConsolePort:
    """Hands requests on, if they came to the port that they are for."""

    def __init__(self, front: Application, *, port: int, api_port: int) -> None:
        self._front = front
        self._port = port
        self._api_port = api_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, hold one socket, or take part in the start and the end."""
        if scope["type"] == "lifespan":
            await self._front(scope, receive, send)
            return
        on_console_port = scope["server"][1] == self._port
        is_root = scope["type"] == "http" and _is_root(scope)
        if on_console_port == is_for_console(scope) or (on_console_port and is_root):
            # for pages that show the address of the API
            await self._front({**scope, API_PORT: self._api_port}, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await self._misdirected(scope)(scope, receive, send)

    def _misdirected(self, scope: Scope) -> Any:
        if scope["server"][1] == self._port:
            return PlainTextResponse(ALONE, 404)
        if scope["method"] not in {"GET", "HEAD"}:
            return PlainTextResponse(ELSEWHERE.format(port=self._port), 421)
        return RedirectResponse(self._address(scope), 307)

    def _address(self, scope: Scope) -> str:
        """Return the address of a page of the console, at the host that the browser asked."""
        header = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        match = _HOST.fullmatch(header)
        host = match[1] if match else scope["server"][0]
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        query = scope["query_string"].decode("latin-1")
        path = scope["raw_path"].decode("latin-1")
        return f"{scope['scheme']}://{host}:{self._port}{path}" + (f"?{query}" if query else "")


def _is_root(scope: Scope) -> bool:
    """Return whether a person typed the address without a path; `Front` leads to the console."""
    accept = dict(scope["headers"]).get(b"accept", b"")
    return bool(scope["raw_path"] == b"/" and accept.startswith(b"text/html"))
