"""The messages of scripts: a file for each language, which anyone may read."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from blemish.console.language.catalogues import catalogue
from blemish.console.language.visitor_language import (
    ENGLISH,
    LANGUAGES,
    PSEUDO,
    current_language,
)
from blemish.console.paths import LANGUAGE, STATIC
from blemish.console.visitor import in_thread

CODES = {f"{LANGUAGE}{code}.js": code for code in LANGUAGES if code != ENGLISH}

YEAR = "public, max-age=31536000, immutable"


class LanguageScripts:
    """Answers the paths of the messages, which need no session."""

    paths = frozenset(CODES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request(scope, receive)
        messages = await in_thread(catalogue, CODES[request.url.path])
        is_current = request.url.query == messages.digest
        headers = {"Cache-Control": YEAR if is_current else "no-cache"}
        response = Response(messages.script, media_type="text/javascript", headers=headers)
        await response(scope, receive, send)


async def load_language(code: str) -> None:
    """Read the catalogue of a language before a page needs it."""
    if code in LANGUAGES and code != ENGLISH:
        await in_thread(catalogue, code)


def script_tags() -> str:
    """Return the tags of the scripts that speak the visitor's language."""
    code = current_language()
    tags = f'<script src="{STATIC}say.js"></script>'
    if code in {ENGLISH, PSEUDO}:
        return tags
    return f'{tags}<script src="{LANGUAGE}{code}.js?{catalogue(code).digest}"></script>'
