"""Who may come in: nothing of the console is shown to who is not signed in, or sent by others.

    foreign Origin -> 403        no session -> sign in, or 401        else -> the pages

A browser sends the session's cookie with every request to this host, whoever made it send one. So
whatever changes something, and the socket that the pages live on, must come from a page of ours:
its Origin must be the host that was asked. What the framework needs to be drawn is no secret.

Source: OWASP, "Cross-Site Request Forgery Prevention" and "WebSocket Security" cheat sheets.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote, urlsplit

from blemish.console.services import Services
from blemish.console.visitor import SignedOutError, Visitor
from blemish.wire.asgi import Receive, Scope, Send, client_address, send_start

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

ROOT = "/console"
SIGN_IN = f"{ROOT}/sign-in"

STYLE = f"{ROOT}/static/"
"""Ours, which an update changes under the same names: a browser has to ask again."""

OPEN = (STYLE, f"{ROOT}/_nicegui/", f"{ROOT}/favicon.ico")
"""How the paths begin of what anyone may have: our style, and the framework's own files."""

SAFE_METHODS = frozenset({"GET", "HEAD"})

RECHECK_S = 5.0
"""How long a socket goes on after its session is over, at most."""

POLICY_VIOLATION = 1008
"""Source: RFC 6455, section 7.4.1."""

HEADERS = {
    # the framework compiles its templates in the browser, which CSP calls eval
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""Of every answer."""


class Guard:
    """Lets through to the pages whoever is signed in."""

    def __init__(self, pages: Application, services: Services) -> None:
        self._pages = pages
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hold one socket."""
        headers = headers_of(scope)
        if problem := origin_problem(scope, headers):
            await _refuse(scope, send, 403, problem)
            return
        send = _with_headers(send, asked_again=scope["path"].startswith(STYLE))
        if is_open(scope):
            await self._pages(scope, receive, send)
            return
        visitor = visitor_of(scope, headers, self._services)
        try:
            await visitor.principal()
        except SignedOutError as error:
            await _send_away(scope, send, headers, str(error))
            return
        scope.setdefault("state", {})["visitor"] = visitor
        if scope["type"] == "websocket":
            receive = _rechecked(receive, visitor)
        await self._pages(scope, receive, send)


def is_open(scope: Scope) -> bool:
    """Tell whether a request reads what anyone may have."""
    reads = scope["type"] == "http" and scope["method"] in SAFE_METHODS
    return reads and scope["path"].startswith(OPEN)


def headers_of(scope: Scope) -> Mapping[str, str]:
    """Return the headers of a request, by their names in lower case."""
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }


def origin_problem(scope: Scope, headers: Mapping[str, str]) -> str | None:
    """Say why the page that a request came from may not send it; None if it may."""
    origin = headers.get("origin")
    if origin is None:
        needed = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        return "The request does not say which page it comes from (Origin)." if needed else None
    if urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        return f"Requests from {origin:.200} are not answered here."
    return None


def cookie_name(scope: Scope) -> str:
    """Return the name of the session's cookie: browsers do not tell the ports of a host apart."""
    server = scope.get("server") or ("", 0)
    return f"blemish-session-{server[1]}"


def cookies_of(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the cookies of a request; none of them if they are malformed."""
    try:
        found = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in found.items()}


def visitor_of(scope: Scope, headers: Mapping[str, str], services: Services) -> Visitor:
    """Return who sent a request, signed in or not."""
    return Visitor(
        services=services,
        token=cookies_of(headers).get(cookie_name(scope), ""),
        source_ip=client_address(scope),
        user_agent=headers.get("user-agent"),
        secure=scope.get("scheme") in {"https", "wss"},
    )


def _rechecked(receive: Receive, visitor: Visitor) -> Receive:
    """End a socket when its session is over: the browser says something every few seconds."""
    checked_at = time.monotonic()

    async def rechecked() -> MutableMapping[str, Any]:
        nonlocal checked_at
        message = await receive()
        if message["type"] == "websocket.receive" and time.monotonic() - checked_at > RECHECK_S:
            checked_at = time.monotonic()
            try:
                await visitor.principal()
            except SignedOutError:
                return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}
        return message

    return rechecked


def _with_headers(send: Send, *, asked_again: bool) -> Send:
    headers = HEADERS | ({"cache-control": "no-cache"} if asked_again else {})
    extra = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *extra]
        await send(message)

    return with_headers


async def _send_away(scope: Scope, send: Send, headers: Mapping[str, str], reason: str) -> None:
    """Show a person where to sign in, and tell a script that it is signed out."""
    wants_page = scope["type"] == "http" and "text/html" in headers.get("accept", "")
    if not wants_page:
        await _refuse(scope, send, 401, reason)
        return
    query = scope.get("query_string", b"").decode("latin-1")
    target = scope["path"] + (f"?{query}" if query else "")
    location = SIGN_IN if target.rstrip("/") == ROOT else f"{SIGN_IN}?next={quote(target)}"
    await send_start(send, 303, {"location": location, "content-length": "0"})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": reason[:100]})
        return
    body = reason.encode()
    headers = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body))}
    await send_start(send, status, headers)
    await send({"type": "http.response.body", "body": body})
