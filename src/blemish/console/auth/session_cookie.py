"""The cookies: one holds the token of a session, another an attempt to sign in elsewhere."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from blemish.console.auth.guard import cookie_name, is_secure
from blemish.console.paths import ROOT

NO_STORE = {"Cache-Control": "no-store"}


def set_session_cookie(response: Response, request: Request, token: str, *, max_age_s: int) -> None:
    """Let the browser hold a token; an age of 0 takes it away."""
    set_cookie(response, request, token, kind="session", max_age_s=max_age_s)


def set_cookie(
    response: Response, request: Request, value: str, *, kind: str, max_age_s: int
) -> None:
    """Let the browser hold a value for this console alone; an age of 0 takes it away."""
    response.set_cookie(
        cookie_name(request.scope, kind),
        value,
        max_age=max_age_s,
        path="/" if is_secure(request.scope) else ROOT,  # as the prefix of its name demands
        secure=is_secure(request.scope),
        httponly=True,
        samesite="strict",
    )
