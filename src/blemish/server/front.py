"""One port for several APIs, the console and monitors.

Requests are routed by the service that they are signed for. The credential scope names it, in the
Authorization header or in the query of a presigned URL; Signature Version 2 was for S3 alone.
Unsigned requests go to the API by its paths, to the pages of monitors by theirs, else to S3.
STS answers requests of the query protocol that are unsigned or for a service that is absent: SDKs
of such services read its errors.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import unquote

from starlette.responses import RedirectResponse, Response

from blemish.monitoring.status_pages import PATHS
from blemish.s3.protocol.errors import UnsupportedError
from blemish.s3.protocol.rest_xml import xml_error_response
from blemish.wire.asgi import Receive, Scope, Send, http_request

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

CONSOLE = b"/console"

_SLASH = "(?:/|%2[Ff])"
_PART = "[^/%,& ]{0,128}"
"""Bounded, so that a search takes no longer than a multiple of the text, whatever is in it."""

_SIGNED_SERVICE = re.compile(
    f"Credential={_PART}{_SLASH}{_PART}{_SLASH}{_PART}{_SLASH}([a-z0-9-]{{1,32}}){_SLASH}".encode()
)
"""Key id, date, region, service; encoded in a query, plain in a header."""

_VERSION_2 = re.compile(rb"(?:^|&)AWSAccessKeyId=")

API_PATHS = b"/2020-11-20/"
"""How the paths of the API begin: with the version of its service model."""

_OTHER_PROTOCOLS = frozenset({"lookoutvision", "s3", ""})
"""Services, and signatures without one, whose requests are not of the query protocol."""

_ACTION = re.compile(rb"(?:^|&)Action=")
_FORM = b"application/x-www-form-urlencoded"

ELSEWHERE = "The buckets of this server are in another S3; send it what is meant for them."


class Pages(Protocol):
    """The console."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or hold one socket."""

    async def stop(self) -> None:
        """Stop their background work."""


class Front:
    """Hands each request to its application."""

    def __init__(
        self,
        *,
        api: Application,
        s3: Application,
        sts: Application,
        status: Application,
        console: Pages,
    ) -> None:
        self._api = api
        self._sts = sts
        self._s3 = s3
        self._status = status
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, hold one socket, or take part in the start and the end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if _is_lost_browser(scope):
            await RedirectResponse(f"{CONSOLE.decode()}/", 303)(scope, receive, send)
            return
        if is_for_console(scope):
            await self._console(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await self._application(scope)(scope, receive, send)

    def _application(self, scope: Scope) -> Application:
        path: bytes = scope["raw_path"]
        service = signed_service(scope)
        if service == "s3":
            return self._s3
        if service == "sts" or (service not in _OTHER_PROTOCOLS and is_query_protocol(scope)):
            return self._sts
        if path.decode(errors="replace") in PATHS:
            return self._status
        if service is None and not path.startswith(API_PATHS):
            return self._s3  # a client of S3 expects its AccessDenied
        return self._api

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self._console.stop()
        await send({"type": "lifespan.shutdown.complete"})


class S3Elsewhere:
    """Refuses requests to S3 where the buckets are in another S3."""

    waiting = 0

    def __init__(self, *, request_ids: Callable[[], str]) -> None:
        self._request_ids = request_ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse one HTTP request without reading its body."""
        request = http_request(scope)
        request_id = self._request_ids()
        error = xml_error_response(
            UnsupportedError(ELSEWHERE),
            resource=unquote(request.path, errors="replace"),
            request_id=request_id,
        )
        headers = {**error.headers, "connection": "close", "x-amz-request-id": request_id}
        response = Response(error.body, error.status, headers)
        if request.method == "HEAD":
            response.body = b""
        await response(scope, receive, send)


def is_for_console(scope: Scope) -> bool:
    """Return whether a request is for the console.

    A bucket may have the same name; a request that is signed for S3 is about the bucket.
    """
    path: bytes = scope["raw_path"]
    return (path == CONSOLE or path.startswith(CONSOLE + b"/")) and not is_for_s3(scope)


def _is_lost_browser(scope: Scope) -> bool:
    """Return whether a person typed the address of the server without a path."""
    headers = dict(scope["headers"])
    return (
        scope["type"] == "http"
        and scope["raw_path"] == b"/"
        and not scope["query_string"]
        and b"authorization" not in headers
        and headers.get(b"accept", b"").startswith(b"text/html")
    )


def is_for_s3(scope: Scope) -> bool:
    """Return whether a request is signed for S3, correctly or not."""
    return signed_service(scope) == "s3"


def is_query_protocol(scope: Scope) -> bool:
    """Return whether a request has the form of the AWS query protocol: STS, SNS, IAM and others."""
    if scope["type"] != "http" or scope["raw_path"] != b"/":
        return False
    content_type = dict(scope["headers"]).get(b"content-type", b"").lower()
    return content_type.startswith(_FORM) or bool(_ACTION.search(scope["query_string"]))


def signed_service(scope: Scope) -> str | None:
    """Return the service that a request is signed for, correctly or not.

    Returns:
        "" where the signature names no service, None where there is no signature.
    """
    header = dict(scope["headers"]).get(b"authorization", b"")
    query = scope["query_string"]
    if header.startswith(b"AWS ") or _VERSION_2.search(query):
        return "s3"
    match = _SIGNED_SERVICE.search(header) or _SIGNED_SERVICE.search(query)
    if match:
        return match[1].decode("ascii")
    return "" if header or b"X-Amz-Algorithm=" in query else None
