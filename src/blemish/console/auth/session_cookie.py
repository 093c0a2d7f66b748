"""The cookie that holds the token of a session."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from blemish.console.auth.guard import cookie_name, is_secure
from blemish.console.paths import ROOT

NO_STORE = {"Cache-Control": "no-store"}


def set_session_cookie(response: Response, request: Request, token: str, *, max_age_s: int) -> None:
    """Let the browser hold a token; an age of 0 takes it away."""
    response.set_cookie(
        cookie_name(request.scope),
        token,
        max_age=max_age_s,
        path="/" if is_secure(request.scope) else ROOT,  # as the prefix of its name demands
        secure=is_secure(request.scope),
        httponly=True,
        samesite="strict",
    )
