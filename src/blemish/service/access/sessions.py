"""Sessions of people who signed in to the console, by name and password or with an access key.

The browser holds a random token, the database only its SHA-256, so that a reader of the database
cannot take over a session. Every use of a session checks its key or its user: rotating, disabling
or deleting the key ends the session, and so does disabling the user or changing the password.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from blemish.domain.access.principals import Principal, user_holder_id
from blemish.domain.entities import Session, User
from blemish.service.access.authentication import AccessService
from blemish.service.access.kiosk_links import KioskLinks
from blemish.service.access.user_accounts import UserAccounts
from blemish.storage.database.database import Database
from blemish.storage.errors import StorageError

LIFETIME = timedelta(hours=12)
"""Lifetime of a session: one shift."""

TOKEN_BYTES = 32

USE_STEP = timedelta(minutes=1)
"""How exact the last use of a session is."""


@dataclass(frozen=True, kw_only=True)
class ListedSession:
    """A session as its holder sees it."""

    #: opens nothing
    id: str
    address: str | None
    started_at: datetime
    last_used_at: datetime | None
    #: whether it is the one that asks
    is_own: bool


class SessionService:
    """The sessions of the console."""

    def __init__(
        self,
        database: Database,
        *,
        access: AccessService,
        users: UserAccounts,
        kiosks: KioskLinks,
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._access = access
        self._users = users
        self._kiosks = kiosks
        self._now = now
        self._random_bytes = random_bytes

    def begin(self, access_key_id: str, secret: str, *, address: str | None = None) -> str | None:
        """Begin a session of an access key; return its token, or None if key or secret is wrong.

        Raises:
            EncryptionError: the secret of the key cannot be opened.
        """
        signer = self._access.signer(access_key_id)
        expected = signer.secret if signer else ""
        right = hmac.compare_digest(expected.encode(), secret.encode(errors="replace"))
        if signer is None or not right:
            return None
        token, session = self._new(access_key_id, address)
        with self._database.writing() as rows:
            rows.sessions.add(session)
        return token

    def begin_as_user(self, name: str, password: str, *, address: str | None = None) -> str | None:
        """Begin a session of a user; return its token, or None if name or password is wrong.

        It takes memory and a core for some hundredths of a second: call it one at a time.
        """
        user = self._users.authenticated(name, password)
        return None if user is None else self.begin_of(user, address=address)

    def begin_of(self, user: User, *, address: str | None = None) -> str | None:
        """Begin a session of somebody who proved to be a user; return its token.

        None if the user is disabled, or was changed since this was read.
        """
        if not user.enabled:
            return None
        token, session = self._new(user_holder_id(user.name), address)
        with self._database.writing() as rows:
            if rows.users.named(user.name) != user:
                return None
            rows.sessions.add(session)
        return token

    def _new(self, holder_id: str, address: str | None) -> tuple[str, Session]:
        token, now = self._random_bytes(TOKEN_BYTES).hex(), self._now()
        return token, Session(
            token_sha256=_sha256(token),
            access_key_id=holder_id,
            expires_at=now + LIFETIME,
            address=address,
            last_used_at=now,
        )

    def principal(self, token: str, *, notes_use: bool = False) -> Principal | None:
        """Return the holder of a session or of a kiosk link; None if it is over or unknown.

        Args:
            token: of the session or of the link.
            notes_use: whether to note that the session is used, once in a minute, where the disk
                can be written.

        Raises:
            EncryptionError: the secret of its key cannot be opened.
        """
        now = self._now()
        with self._database.looking_up() as rows:
            session = rows.sessions.find(_sha256(token))
        if session is None:
            return self._kiosks.principal(token)
        if session.expires_at <= now:
            return None
        principal = self._access.principal(session.access_key_id)
        last_used_at = session.last_used_at or session.expires_at - LIFETIME
        if notes_use and principal is not None and now - last_used_at >= USE_STEP:
            with suppress(StorageError), self._database.writing() as rows:
                rows.sessions.set_last_used(session.token_sha256, now)
        return principal

    def of_holder(self, token: str) -> list[ListedSession]:
        """Return the sessions of the holder of a session, the newest first; none if it is over."""
        token_sha256, now = _sha256(token), self._now()
        with self._database.reading() as rows:
            own = rows.sessions.find(token_sha256)
            sessions = rows.sessions.of_key(own.access_key_id) if own else []
        return [
            ListedSession(
                id=session.token_sha256,
                address=session.address,
                started_at=session.expires_at - LIFETIME,
                last_used_at=session.last_used_at,
                is_own=session.token_sha256 == token_sha256,
            )
            for session in sessions
            if session.expires_at > now
        ]

    def end(self, token: str) -> None:
        """End a session, if it exists."""
        with self._database.writing() as rows:
            rows.sessions.delete(_sha256(token))

    def end_others(self, token: str, *, session_id: str | None = None) -> None:
        """End the other sessions of the holder of a session, or only the one of an id."""
        token_sha256 = _sha256(token)
        with self._database.writing() as rows:
            own = rows.sessions.find(token_sha256)
            for session in rows.sessions.of_key(own.access_key_id) if own else ():
                other = session.token_sha256
                if other != token_sha256 and session_id in {None, other}:
                    rows.sessions.delete(other)


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
