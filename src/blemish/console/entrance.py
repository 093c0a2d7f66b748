"""What every request of the console goes through first.

    /console/sign-in, /console/sign-out -> sign_in
    /console/sign-in/... -> provider_sign_in, if an identity provider is set up
    /console/kiosk -> kiosk
    /console/language/de.js -> language.scripts
    else -> guard -> the framework and its pages
    whatever finds no database -> away

Each answer is in the language of its sender. The sign-in form is answered at once. The framework
takes a second to load; it loads while people fill the form in.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blemish.console.auth.guard import Guard
from blemish.console.auth.kiosk import KioskEntrance
from blemish.console.auth.provider_sign_in import ProviderSignIn
from blemish.console.auth.sign_in import SignIn
from blemish.console.away import away_answer
from blemish.console.browser_rules import with_headers
from blemish.console.language.scripts import LanguageScripts, load_language
from blemish.console.language.visitor_language import language_of, use_language
from blemish.console.services import Services
from blemish.console.visitor import in_thread
from blemish.storage.errors import DatabaseUnavailableError
from blemish.wire.wrong_secrets import FREE_OF_ALL_NAMES, WrongSecrets


class Entrance:
    """Answers sign-in itself, and passes signed-in people to the framework."""

    def __init__(self, services: Services) -> None:
        wrong_secrets = WrongSecrets(monotonic=time.monotonic, free=FREE_OF_ALL_NAMES)
        provider = services.provider
        self._entries = (
            SignIn(services, wrong_secrets),
            KioskEntrance(services, wrong_secrets),
            LanguageScripts(),
            *([ProviderSignIn(services, provider)] if provider else ()),
        )
        self._guard = Guard(self._framework, services)
        self._loading: asyncio.Task[ASGIApp] | None = None
        self._running: AbstractAsyncContextManager[Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hold one socket."""
        loading = self._load()
        language = language_of(HTTPConnection(scope))
        await load_language(language)
        use_language(language)
        path = scope["path"] if scope["type"] == "http" else ""
        entry = next((entry for entry in self._entries if path in entry.paths), None)
        application: ASGIApp = entry or self._guard
        if entry is None:
            await asyncio.wait([loading])
        send = with_headers(scope, send, of_framework=entry is None)
        await _answer_or_away(application, scope, receive, send)

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


async def _answer_or_away(application: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Say that the database is away, if nothing else can be answered."""
    is_answered = False

    async def noting_send(message: Message) -> None:
        nonlocal is_answered
        is_answered = True
        await send(message)

    try:
        await application(scope, receive, noting_send)
    except DatabaseUnavailableError:
        if is_answered:
            raise
        await away_answer(HTTPConnection(scope))(scope, receive, send)


def _load_pages() -> Any:
    from blemish.console.pages import application  # noqa: PLC0415 - it takes a second

    return application()
