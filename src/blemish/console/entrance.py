"""What every request of the console goes through first.

    /console/sign-in, /console/sign-out -> sign_in      else -> guard -> the framework and its pages

The sign-in form is answered at once. The framework takes a second to load; it loads while people
fill the form in.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from blemish.console.auth.guard import Guard
from blemish.console.auth.sign_in import SignIn
from blemish.console.paths import STATIC
from blemish.console.services import Services
from blemish.console.visitor import in_thread
from blemish.wire.wrong_secrets import WrongSecrets

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


class Entrance:
    """Answers sign-in itself, and passes signed-in people to the framework."""

    def __init__(self, services: Services) -> None:
        self._sign_in = SignIn(services, WrongSecrets(monotonic=time.monotonic))
        self._guard = Guard(self._framework, services)
        self._loading: asyncio.Task[ASGIApp] | None = None
        self._running: AbstractAsyncContextManager[Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hold one socket."""
        loading = self._load()
        send = with_headers(scope, send)
        if scope["type"] == "http" and scope["path"] in self._sign_in.paths:
            await self._sign_in(scope, receive, send)
            return
        await asyncio.wait([loading])
        await self._guard(scope, receive, send)

    async def stop(self) -> None:
        """Stop the framework."""
        if self._loading is not None:
            await asyncio.wait([self._loading])
        if self._running is not None:
            await self._running.__aexit__(None, None, None)
            self._running = None

    async def _framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = await self._load()
        await application(scope, receive, send)

    def _load(self) -> asyncio.Task[ASGIApp]:
        if self._loading is None:
            self._loading = asyncio.create_task(self._start())
        return self._loading

    async def _start(self) -> ASGIApp:
        application: Any = await in_thread(_load_pages)
        self._running = application.router.lifespan_context(application)
        await self._running.__aenter__()
        started: ASGIApp = application
        return started


def with_headers(scope: Scope, send: Send) -> Send:
    """Return a `send` that adds `HEADERS` to the answer of a request."""
    extra = dict(HEADERS)
    if scope["path"].startswith(STATIC):
        extra["cache-control"] = "no-cache"  # an update changes these files: a browser has to ask

    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(extra)
        await send(message)

    return send_with_headers


def _load_pages() -> Any:
    from blemish.console.pages import application  # noqa: PLC0415 - it takes a second

    return application()
