"""Rows of access keys."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, insert, select

from blemish.domain.entities import AccessKey
from blemish.storage.tables import ACCESS_KEYS


class Keys:
    """The access keys, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, key: AccessKey) -> None:
        """Add an access key; its id must be new."""
        self._connection.execute(insert(ACCESS_KEYS).values(**asdict(key)))

    def find(self, access_key_id: str) -> AccessKey | None:
        """Return the access key of this id."""
        statement = select(ACCESS_KEYS).where(ACCESS_KEYS.c.id == access_key_id)
        row = self._connection.execute(statement).first()
        if row is None:
            return None
        return AccessKey(
            id=row.id, secret=str(row.secret), name=row.name, created_at=row.created_at
        )

    def any(self) -> bool:
        """Tell whether there is an access key at all."""
        return self._connection.execute(select(ACCESS_KEYS.c.id).limit(1)).first() is not None
