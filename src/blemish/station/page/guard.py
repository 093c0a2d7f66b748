"""Who may read the page: anybody on this machine, and elsewhere those who know the token."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable

from starlette.requests import HTTPConnection

from blemish.station.config_table import SecretText

COOKIE = "blemish-station"

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
"""Names under which a browser on this machine knows the page. A page of another name that leads
here by DNS has its own name in `Host`."""

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""Headers by which a proxy says that somebody else asks."""

MOST_SESSIONS = 100


class PageGuard:
    """Decides who may read the page."""

    def __init__(
        self, token: SecretText | None, *, new_session: Callable[[], str] = secrets.token_urlsafe
    ) -> None:
        """Take the token; without one only browsers of this machine may read the page."""
        self._token = token
        self._new_session = new_session
        self._sessions: list[str] = []

    @property
    def has_sign_in(self) -> bool:
        """Whether people sign in by the token."""
        return self._token is not None

    def may_read(self, connection: HTTPConnection) -> bool:
        """Return whether a request may get the page."""
        if self._token is None:
            return _is_local(connection)
        session = connection.cookies.get(COOKIE, "")
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        return any(_same(session, known) for known in self._sessions) or (
            scheme.lower() == "bearer" and self._is_token(token)
        )

    def sign_in(self, token: str) -> str | None:
        """Return a new session; None if the token is wrong."""
        if not self._is_token(token):
            return None
        session = self._new_session()
        self._sessions = [*self._sessions[1 - MOST_SESSIONS :], session]
        return session

    def _is_token(self, token: str) -> bool:
        return self._token is not None and _same(token.strip(), self._token.reveal())


def _is_local(connection: HTTPConnection) -> bool:
    host = connection.headers.get("host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    is_forwarded = any(header in connection.headers for header in FORWARDED)
    return name.strip("[]").lower() in LOCAL_NAMES and not is_forwarded


def _same(text: str, secret: str) -> bool:
    return hmac.compare_digest(text.encode(), secret.encode())
