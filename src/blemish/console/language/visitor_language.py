"""The language of a visitor: the one chosen in the settings, else one that the browser asks for.

It is known to all that a request or a socket starts, also in threads: each has its own context.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar

from starlette.requests import HTTPConnection

ENGLISH = "en"

LANGUAGES: Mapping[str, str] = {
    ENGLISH: "English",
    "de": "Deutsch",
    "es": "Español",
    "ja": "日本語",
    "zh": "简体中文",
}
"""Code -> name in the language itself. Each but English has a catalogue beside this module."""

PSEUDO = "en-XA"
"""A language for translators and tests: English in brackets, so that other texts stand out."""

COOKIE = "blemish-language"
"""Set by `static/say.js`."""

MOST_BYTES = 1_000
"""Of a header that is read; browsers send less than a hundred."""

_current: ContextVar[str] = ContextVar("language", default=ENGLISH)


def current_language() -> str:
    """Return the code of the language of the visitor whose request or event is handled."""
    return _current.get()


def use_language(code: str) -> None:
    """Use a language in the current context, and in all that begins in it."""
    _current.set(code)


def language_of(connection: HTTPConnection) -> str:
    """Return the code of the language that a request or a socket wants."""
    wanted = connection.cookies.get(COOKIE, "")
    if wanted in LANGUAGES or wanted == PSEUDO:
        return wanted
    return accepted_language(connection.headers.get("accept-language", ""))


def accepted_language(header: str) -> str:
    """Return the language of `LANGUAGES` that a header `Accept-Language` prefers.

    Source: RFC 9110, section 12.5.4.
    """
    weights: dict[str, float] = {}
    for part in header[:MOST_BYTES].split(","):
        tag, _, parameter = part.partition(";")
        code = tag.strip().lower().partition("-")[0]
        if code in LANGUAGES:
            weights[code] = max(weights.get(code, 0.0), _weight(parameter))
    best = max(weights, key=lambda code: weights[code], default=ENGLISH)
    return best if weights.get(best, 0) > 0 else ENGLISH


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
