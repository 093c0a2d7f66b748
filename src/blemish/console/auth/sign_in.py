"""Signing in with an access key, and out again: two plain forms, without the framework.

So the page is there at once, also while the framework is still being loaded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.console.auth.attempts import Attempts
from blemish.console.auth.guard import (
    HEADERS,
    ROOT,
    SIGN_IN,
    cookie_name,
    headers_of,
    origin_problem,
    visitor_of,
)
from blemish.console.services import Services
from blemish.console.visitor import SignedOutError, in_thread
from blemish.service.access.sessions import LIFETIME
from blemish.wire.asgi import Receive, Scope, Send, client_address, send_start
from blemish.wire.errors import WireError
from blemish.wire.request_body import ClientGoneError, read_body

logger: FilteringBoundLogger = structlog.get_logger(__name__)

SIGN_OUT = f"{ROOT}/sign-out"

FORM_BYTES = 16 * 1024
"""Of a form that was filled in."""

WRONG = "This is no access key of this server, it is disabled, or the secret is not its own."
WAIT = "Too many wrong attempts. Try again in {seconds} seconds."


class SignIn:
    """Answers the paths of signing in and out, which need no session."""

    paths = frozenset({SIGN_IN, SIGN_OUT})

    def __init__(self, services: Services, attempts: Attempts) -> None:
        self._services = services
        self._attempts = attempts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        headers = headers_of(scope)
        if problem := origin_problem(scope, headers):
            await _send_page(send, 403, problem=problem)
        elif scope["method"] in {"GET", "HEAD"}:
            await self._show(scope, send, headers)
        elif scope["method"] != "POST":
            await _send_page(send, 405, problem="This address takes GET and POST alone.")
        elif scope["path"] == SIGN_OUT:
            await self._sign_out(scope, send, headers)
        else:
            await self._sign_in(scope, receive, send)

    async def _show(self, scope: Scope, send: Send, headers: Mapping[str, str]) -> None:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        target = target_of(query.get("next", [""])[0])
        try:
            await visitor_of(scope, headers, self._services).principal()
        except SignedOutError:
            await _send_page(send, 200, target=target)
            return
        await _redirect(send, target)

    async def _sign_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(receive, limit_bytes=FORM_BYTES, declared_bytes=None)
        except ClientGoneError:
            return
        except WireError as error:
            await _send_page(send, error.status, problem=error.message)
            return
        form = parse_qs((body.content or b"").decode(errors="replace"))
        key_id, secret, target = (
            form.get(name, [""])[0].strip() for name in ("key", "secret", "next")
        )
        target = target_of(target)
        who = (f"address {client_address(scope)}", f"key {key_id[:128]}")
        if (wait_s := self._attempts.wait_s(*who)) > 0:
            text = WAIT.format(seconds=math.ceil(wait_s))
            await _send_page(send, 429, problem=text, key_id=key_id, target=target)
            return
        token = await in_thread(self._services.sessions.begin, key_id, secret)
        if token is None:
            self._attempts.failed(*who)
            logger.warning("sign-in failed", address=client_address(scope))
            await _send_page(send, 403, problem=WRONG, key_id=key_id, target=target)
            return
        self._attempts.succeeded(*who)
        await _redirect(send, target, cookie=_cookie(scope, token, int(LIFETIME.total_seconds())))

    async def _sign_out(self, scope: Scope, send: Send, headers: Mapping[str, str]) -> None:
        visitor = visitor_of(scope, headers, self._services)
        await in_thread(self._services.sessions.end, visitor.token)
        await _redirect(send, SIGN_IN, cookie=_cookie(scope, "", 0))


def target_of(text: str) -> str:
    """Return where to go after signing in: a page of the console, whatever the text says."""
    parts = urlsplit(text)
    inside = parts.path == ROOT or parts.path.startswith(f"{ROOT}/")
    if parts.scheme or parts.netloc or not inside or not text.isprintable() or "\\" in text:
        return f"{ROOT}/"
    return text


def _cookie(scope: Scope, token: str, max_age_s: int) -> str:
    cookie: SimpleCookie = SimpleCookie()
    name = cookie_name(scope)
    cookie[name] = token
    cookie[name]["path"] = ROOT
    cookie[name]["max-age"] = max_age_s
    cookie[name]["httponly"] = True
    cookie[name]["samesite"] = "Strict"
    cookie[name]["secure"] = scope.get("scheme") == "https"
    return cookie[name].OutputString()


async def _redirect(send: Send, target: str, *, cookie: str | None = None) -> None:
    headers = {**HEADERS, "location": target, "content-length": "0", "cache-control": "no-store"}
    if cookie is not None:
        headers["set-cookie"] = cookie
    await send_start(send, 303, headers)
    await send({"type": "http.response.body", "body": b""})


async def _send_page(
    send: Send, status: int, *, problem: str = "", key_id: str = "", target: str = f"{ROOT}/"
) -> None:
    import jinja2  # noqa: PLC0415 - not before somebody signs in

    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        _template()
    )
    text = template.render(
        root=ROOT, sign_in=SIGN_IN, problem=problem, key_id=key_id, target=target
    )
    body = text.encode(errors="replace")
    headers = {
        **HEADERS,
        "content-type": "text/html; charset=utf-8",
        "content-length": str(len(body)),
        "cache-control": "no-store",
    }
    await send_start(send, status, headers)
    await send({"type": "http.response.body", "body": body})


@cache
def _template() -> str:
    return (Path(__file__).parent / "sign_in.html.jinja").read_text(encoding="utf-8")
