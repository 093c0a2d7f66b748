"""Rows of the sessions of the console."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from blemish.domain.entities import Session
from blemish.storage.database.access_tables import SESSIONS

# Built once, since every request of a browser reads its session.
_FIND = select(SESSIONS).where(SESSIONS.c.token_sha256 == bindparam("of_token"))


class Sessions:
    """The sessions, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, session: Session) -> None:
        """Add a session; its token must be new."""
        self._connection.execute(insert(SESSIONS).values(**asdict(session)))

    def find(self, token_sha256: str) -> Session | None:
        """Return the session of a token, expired or not."""
        row = self._connection.execute(_FIND, {"of_token": token_sha256}).mappings().first()
        return None if row is None else Session(**row)

    def of_key(self, access_key_id: str) -> list[Session]:
        """Return the sessions of an access key, expired or not, the newest first."""
        owned = SESSIONS.c.access_key_id == access_key_id
        query = select(SESSIONS).where(owned).order_by(SESSIONS.c.expires_at.desc())
        return [Session(**row) for row in self._connection.execute(query).mappings()]

    def set_last_used(self, token_sha256: str, moment: datetime) -> None:
        """Note when a session was used."""
        mine = SESSIONS.c.token_sha256 == token_sha256
        self._connection.execute(update(SESSIONS).where(mine).values(last_used_at=moment))

    def delete(self, token_sha256: str) -> None:
        """Delete a session, if it exists."""
        mine = SESSIONS.c.token_sha256 == token_sha256
        self._connection.execute(delete(SESSIONS).where(mine))

    def delete_of(self, access_key_id: str) -> None:
        """Delete the sessions of an access key."""
        owned = SESSIONS.c.access_key_id == access_key_id
        self._connection.execute(delete(SESSIONS).where(owned))

    def delete_before(self, moment: datetime) -> int:
        """Delete the sessions that expired before a time; return how many."""
        old = delete(SESSIONS).where(SESSIONS.c.expires_at < moment)
        return self._connection.execute(old).rowcount
