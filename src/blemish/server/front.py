"""One port for two APIs, pages and monitors: the service a request is signed for tells them apart.

The credential scope names it, in the Authorization header or in the query of a presigned link:
`s3`, or else the API, which also answers whatever is not signed at all, but for the paths that
monitors ask for. Only S3 was ever signed for
by the version before, so such requests go there to be told that there is no such way in.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import unquote

from blemish.monitoring.status_pages import PATHS
from blemish.s3.protocol.errors import UnsupportedError
from blemish.s3.protocol.rest_xml import xml_error_response
from blemish.wire.asgi import Receive, Scope, Send, http_request, send_start

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

CONSOLE = b"/console"

_SLASH = "(?:/|%2[Ff])"
_PART = "[^/%,& ]{0,128}"
"""Bounded, so that a search takes no longer than a multiple of the text, whatever is in it."""

_FOR_S3 = re.compile(f"Credential={_PART}{_SLASH}{_PART}{_SLASH}{_PART}{_SLASH}s3{_SLASH}".encode())
"""Key id, date, region, service; encoded in a query, plain in a header."""

_VERSION_2 = re.compile(rb"(?:^|&)AWSAccessKeyId=")


ELSEWHERE = "The buckets of this server are in another S3; send it what is meant for them."


class Pages(Protocol):
    """The pages for people."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or hold one socket."""

    async def stop(self) -> None:
        """End what goes on in them."""


class Front:
    """Hands each request to the application that it is meant for."""

    def __init__(
        self, *, api: Application, s3: Application, status: Application, console: Pages
    ) -> None:
        self._api = api
        self._s3 = s3
        self._status = status
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, hold one socket, or take part in the start and the end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if _is_lost_browser(scope):
            headers = {"location": f"{CONSOLE.decode()}/", "content-length": "0"}
            await send_start(send, 303, headers)
            await send({"type": "http.response.body", "body": b""})
            return
        if is_for_console(scope):
            application: Application = self._console
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        elif is_for_s3(scope):
            application = self._s3
        elif scope["raw_path"].decode(errors="replace") in PATHS:
            application = self._status
        else:
            application = self._api
        await application(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self._console.stop()
        await send({"type": "lifespan.shutdown.complete"})


class S3Elsewhere:
    """Answers S3's requests where the buckets are in another S3: that they are."""

    waiting = 0

    def __init__(self, *, request_ids: Callable[[], str]) -> None:
        self._request_ids = request_ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; a body that comes with it is not waited for."""
        del receive
        request = http_request(scope)
        request_id = self._request_ids()
        resource = unquote(request.path, errors="replace")
        response = xml_error_response(
            UnsupportedError(ELSEWHERE), resource=resource, request_id=request_id
        )
        headers = {
            **response.headers,
            "content-length": str(len(response.body)),
            "connection": "close",
            "x-amz-request-id": request_id,
        }
        await send_start(send, response.status, headers)
        body = b"" if request.method == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})


def is_for_console(scope: Scope) -> bool:
    """Tell whether a request is for the pages for people.

    A bucket may be named like them; whatever is signed for S3 is about that.
    """
    path: bytes = scope["raw_path"]
    return (path == CONSOLE or path.startswith(CONSOLE + b"/")) and not is_for_s3(scope)


def _is_lost_browser(scope: Scope) -> bool:
    """Tell whether a person typed the address of the server, and nothing after it."""
    headers = dict(scope["headers"])
    return (
        scope["type"] == "http"
        and scope["raw_path"] == b"/"
        and not scope["query_string"]
        and b"authorization" not in headers
        and headers.get(b"accept", b"").startswith(b"text/html")
    )


def is_for_s3(scope: Scope) -> bool:
    """Tell whether a request is signed for S3, rightly or not."""
    header = dict(scope["headers"]).get(b"authorization", b"")
    query = scope["query_string"]
    return bool(
        _FOR_S3.search(header)
        or _FOR_S3.search(query)
        or header.startswith(b"AWS ")
        or _VERSION_2.search(query)
    )
