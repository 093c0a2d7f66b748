"""Sessions: who signed in to the console with an access key, until that key opens nothing more.

A browser holds a random token, the database its SHA-256: whoever reads the database can take over
no session. Rotating, disabling or deleting a key ends its sessions, since each use asks for it.
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
"""Of a session: a shift, and no night between two."""

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
        """Begin a session; return its token, or None if that is no key or not its secret.

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
        """Return whose session it is; None if it is over, or was none.

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
        """End a session, if it is one."""
        with self._database.writing() as rows:
            rows.sessions.delete(_sha256(token))


def _sha256(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
