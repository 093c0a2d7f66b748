"""The console as one ASGI application; the framework is loaded when the first person comes.

    /console/sign-in, /console/sign-out -> sign_in      else -> guard -> the framework and its pages

A server that nobody looks at in a browser starts as quickly as ever, and stays as small. Whoever
does look is shown the form to sign in at once; the framework is loaded while they fill it in.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

from blemish.console.auth.attempts import Attempts
from blemish.console.auth.guard import Application, Guard
from blemish.console.auth.sign_in import SignIn
from blemish.console.services import Services
from blemish.console.visitor import in_thread
from blemish.wire.asgi import Receive, Scope, Send


class Console:
    """Answers all that begins with `/console`."""

    def __init__(self, services: Services) -> None:
        self._sign_in = SignIn(services, Attempts(monotonic=time.monotonic))
        self._guard = Guard(self._framework, services)
        self._loading: asyncio.Task[Application] | None = None
        self._running: AbstractAsyncContextManager[Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hold one socket."""
        loading = self._load()
        if scope["type"] == "http" and scope["path"] in self._sign_in.paths:
            await self._sign_in(scope, receive, send)
            return
        await asyncio.wait([loading])
        await self._guard(scope, receive, send)

    async def stop(self) -> None:
        """End what the framework has running."""
        if self._loading is not None:
            await asyncio.wait([self._loading])
        if self._running is not None:
            await self._running.__aexit__(None, None, None)
            self._running = None

    async def _framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = await self._load()
        await application(scope, receive, send)

    def _load(self) -> asyncio.Task[Application]:
        if self._loading is None:
            self._loading = asyncio.create_task(self._start())
        return self._loading

    async def _start(self) -> Application:
        application: Any = await in_thread(_loaded)
        self._running = application.router.lifespan_context(application)
        await self._running.__aenter__()
        started: Application = application
        return started


def _loaded() -> Any:
    from blemish.console.pages import application  # noqa: PLC0415 - it takes a second

    return application()
