"""The headers that tell a browser what a page of the console may do.

Scripts come from files of the console, or carry the nonce of their answer: a script that somebody
manages to write into a page does not run. The framework evaluates code in the browser: it compiles
templates, and takes handlers of events as text. So its pages need 'unsafe-eval'; the sign-in form
has no framework and needs it not. Elements of pages have styles of their own, which CSP calls
inline.

Source: W3C, "Content Security Policy Level 3"; OWASP, "Content Security Policy Cheat Sheet".
"""

from __future__ import annotations

import secrets
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import Scope, Send

from blemish.console.paths import STATIC
from blemish.wire.errors import RETRY_AFTER_S

POLICY = (
    "default-src 'self'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
"""Of every answer, beside the policy."""

NONCE_BYTES = 16


def with_headers(scope: Scope, send: Send, *, of_framework: bool) -> Send:
    """Return a `send` that adds the headers to the answer of a request.

    Templates of the framework find the nonce of the answer as `request.state.nonce`.
    """
    scripts = ""
    if of_framework:
        nonce = secrets.token_urlsafe(NONCE_BYTES)
        scope.setdefault("state", {})["nonce"] = nonce
        scripts = f" 'nonce-{nonce}' 'unsafe-eval'"
    extra = {"content-security-policy": POLICY.format(scripts=scripts), **HEADERS}
    if scope["path"].startswith(STATIC):
        extra["cache-control"] = "no-cache"  # an update changes these files: a browser has to ask

    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(extra)
            if message["status"] == HTTPStatus.SERVICE_UNAVAILABLE:
                headers.setdefault("retry-after", RETRY_AFTER_S)
        await send(message)

    return send_with_headers


def with_nonces(template: str) -> str:
    """Return a template of the framework whose scripts carry the nonce of the answer."""
    return template.replace("<script", '<script nonce="{{ request.state.nonce }}"')
