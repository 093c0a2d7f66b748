"""Sessions of people who signed in to the console with an access key.

The browser holds a random token, the database only its SHA-256, so that a reader of the database
cannot take over a session. Every use of a session checks its key: rotating, disabling or deleting
the key ends the session.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta

from blemish.domain.access.principals import Principal, Signer
from blemish.domain.entities import Session
from blemish.storage.database.database import Database

LIFETIME = timedelta(hours=12)
"""Lifetime of a session: one shift."""

TOKEN_BYTES = 32


class SessionService:
    """The sessions of the console."""

    def __init__(
        self,
        database: Database,
        *,
        signer: Callable[[str], Signer | None],
        now: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._signer = signer
        self._now = now
        self._random_bytes = random_bytes

    def begin(self, access_key_id: str, secret: str) -> str | None:
        """Begin a session; return its token, or None if the key or the secret is wrong.

        Raises:
            EncryptionError: the secret of the key cannot be opened.
        """
        signer = self._signer(access_key_id)
        expected = signer.secret if signer else ""
        right = hmac.compare_digest(expected.encode(), secret.encode(errors="replace"))
        if signer is None or not right:
            return None
        token = self._random_bytes(TOKEN_BYTES).hex()
        with self._database.writing() as rows:
            rows.sessions.add(
                Session(
                    token_sha256=_sha256(token),
                    access_key_id=access_key_id,
                    expires_at=self._now() + LIFETIME,
                )
            )
        return token

    def principal(self, token: str) -> Principal | None:
        """Return the holder of a session; None if the session is over or unknown.

        Raises:
            EncryptionError: the secret of its key cannot be opened.
        """
        with self._database.reading() as rows:
            session = rows.sessions.find(_sha256(token))
        if session is None or session.expires_at <= self._now():
            return None
        signer = self._signer(session.access_key_id)
        return signer.principal if signer else None

    def end(self, token: str) -> None:
        """End a session, if it exists."""
        with self._database.writing() as rows:
            rows.sessions.delete(_sha256(token))


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
