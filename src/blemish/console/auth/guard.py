"""The guard: nothing of the console is shown to people who are not signed in.

    foreign Origin -> 403        no session -> sign in, or 401        else -> the pages

A browser sends the session's cookie with every request to this host, also when another site made
it send the request. So every request that changes something, and the socket that the pages live
on, must come from a page of ours: its Origin must be the host that was asked.

Source: OWASP, "Cross-Site Request Forgery Prevention" and "WebSocket Security" cheat sheets.
"""

from __future__ import annotations

import re
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from blemish.console.auth.sign_in_records import record_refusal
from blemish.console.paths import ROOT, SIGN_IN, STATIC, full_screen_path
from blemish.console.services import Services
from blemish.console.visitor import SignedOutError, Visitor
from blemish.domain.access.principals import Principal
from blemish.storage.errors import DatabaseUnavailableError

OPEN = frozenset(
    f"{STATIC}{path.name}" for path in (Path(__file__).parents[1] / "static").iterdir()
)
"""Paths that anyone may read: our static files. Any other path costs a page of the framework, even
if there is nothing."""

SAFE_METHODS = frozenset({"GET", "HEAD"})

OTHER_SITES = frozenset({"cross-site", "same-site"})
"""What browsers say of pages elsewhere; another port of this host is the same site.

Source: W3C, "Fetch Metadata Request Headers".
"""

RECHECK_S = 5.0
"""How long a socket goes on after its session is over, at most."""

POLICY_VIOLATION = 1008
"""Source: RFC 6455, section 7.4.1."""

_PORT = re.compile(r"[0-9]{1,5}")


class Guard:
    """Lets requests of signed-in people through to the pages."""

    def __init__(self, pages: ASGIApp, services: Services) -> None:
        self._pages = pages
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hold one socket."""
        connection = HTTPConnection(scope)
        if problem := origin_problem(connection):
            record_refusal(self._services, connection, problem)
            await _refusal(connection, 403, problem)(scope, receive, send)
            return
        if not is_open(connection):
            visitor = visitor_of(connection, self._services)
            try:
                principal = await visitor.principal(notes_use=True)
            except SignedOutError as error:
                record_refusal(self._services, connection, str(error))
                await _signed_out(connection, str(error))(scope, receive, send)
                return
            if not may_open(principal, connection):
                await _elsewhere(connection, principal)(scope, receive, send)
                return
            connection.state.visitor = visitor
            connection.state.visitor_name = principal.name
            if scope["type"] == "websocket":
                receive = _rechecked(receive, visitor)
        await self._pages(scope, receive, send)


def is_open(connection: HTTPConnection) -> bool:
    """Tell whether a request reads what anyone may read."""
    scope = connection.scope
    reads = scope["type"] == "http" and scope["method"] in SAFE_METHODS
    return reads and scope["path"] in OPEN


def may_open(principal: Principal, connection: HTTPConnection) -> bool:
    """Return whether a request is for what the policy decides: a kiosk has one page."""
    if principal.only_line is None:
        return True
    path, own = connection.scope["path"], full_screen_path(principal.only_line)
    return bool(path in {own, f"{own}/events"} or path.startswith(f"{own}/images/"))


def origin_problem(connection: HTTPConnection) -> str | None:
    """Say why the page that a request came from may not send it; None if it may."""
    scope, headers = connection.scope, connection.headers
    site, mode = headers.get("sec-fetch-site"), headers.get("sec-fetch-mode")
    if site in OTHER_SITES and mode != "navigate":
        return "Pages of other addresses are not answered here."
    origin = headers.get("origin")
    if origin is None:
        needed = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        return "The request does not say which page it comes from (Origin)." if needed else None
    if _host_of(origin) != headers.get("host", "").lower():
        return f"Requests from {origin:.200} are not answered here."
    return None


def _host_of(origin: str) -> str | None:
    """Return host and port of an origin; None if it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # such as http://[
        return None


def cookie_name(scope: Scope, kind: str = "session") -> str:
    """Return the name of a cookie: browsers do not tell the ports of a host apart.

    The port is the one in the address that the browser shows, so servers behind one balancer have
    the same name.

    Over TLS it has the prefix `__Host-`, so that no other host can set it. Without TLS, Chromium
    accepts that from localhost, other browsers do not.

    Source: RFC 6265bis, section 4.1.3.2.
    """
    prefix, default = ("__Host-", 443) if is_secure(scope) else ("", 80)
    _, _, port = Headers(scope=scope).get("host", "").rpartition(":")
    return f"{prefix}blemish-{kind}-{int(port) if _PORT.fullmatch(port) else default}"


def is_secure(scope: Scope) -> bool:
    """Return whether a request came by TLS."""
    return scope.get("scheme") in {"https", "wss"}


def visitor_of(connection: HTTPConnection, services: Services) -> Visitor:
    """Return the sender of a request, signed in or not."""
    return Visitor(
        services=services,
        token=connection.cookies.get(cookie_name(connection.scope), ""),
        source_ip=connection.client.host if connection.client else None,
        user_agent=connection.headers.get("user-agent"),
        secure=is_secure(connection.scope),
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
            except DatabaseUnavailableError:
                return message  # whatever it asks for looks the session up itself, and fails
        return message

    return rechecked


def _signed_out(connection: HTTPConnection, reason: str) -> ASGIApp:
    """Show a person where to sign in, and tell a script that it is signed out."""
    scope = connection.scope
    wants_page = scope["type"] == "http" and "text/html" in connection.headers.get("accept", "")
    if not wants_page:
        return _refusal(connection, 401, reason)
    query = scope.get("query_string", b"").decode("latin-1")
    target = scope["path"] + (f"?{query}" if query else "")
    location = SIGN_IN if target.rstrip("/") == ROOT else f"{SIGN_IN}?next={quote(target)}"
    return RedirectResponse(location, status_code=303)


def _elsewhere(connection: HTTPConnection, principal: Principal) -> ASGIApp:
    """Lead the screen of a kiosk back to its line."""
    if "text/html" in connection.headers.get("accept", "") and principal.only_line is not None:
        return RedirectResponse(quote(full_screen_path(principal.only_line)), status_code=303)
    return _refusal(connection, 403, "This link opens one line alone.")


def _refusal(connection: HTTPConnection, status: int, reason: str) -> ASGIApp:
    if connection.scope["type"] == "websocket":
        return WebSocketClose(code=POLICY_VIOLATION, reason=reason[:100])
    response: Response = PlainTextResponse(reason, status_code=status)
    return response
