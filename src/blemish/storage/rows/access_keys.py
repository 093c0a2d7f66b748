"""Rows of access keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, select, update

from blemish.domain.entities import AccessKey
from blemish.storage.database.access_tables import ACCESS_KEYS

# Built once, since every request reads its key.
_FIND = select(ACCESS_KEYS).where(ACCESS_KEYS.c.id == bindparam("of_id"))
_NAMED = select(ACCESS_KEYS).where(ACCESS_KEYS.c.name == bindparam("of_name"))


class Keys:
    """The access keys, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, key: AccessKey) -> None:
        """Add an access key; its id and its name must be new."""
        self._connection.execute(insert(ACCESS_KEYS).values(**_values(key)))

    def find(self, access_key_id: str) -> AccessKey | None:
        """Return the access key of this id."""
        return self._first(_FIND, of_id=access_key_id)

    def named(self, name: str) -> AccessKey | None:
        """Return the access key of this name."""
        return self._first(_NAMED, of_name=name)

    def all(self) -> list[AccessKey]:
        """Return the access keys, oldest first."""
        ordered = select(ACCESS_KEYS).order_by(ACCESS_KEYS.c.created_at, ACCESS_KEYS.c.name)
        return [_key(row) for row in self._connection.execute(ordered)]

    def any(self) -> bool:
        """Return whether any access key exists."""
        return self._connection.execute(select(ACCESS_KEYS.c.id).limit(1)).first() is not None

    def replace(self, key: AccessKey) -> None:
        """Replace the access key of the same name."""
        mine = ACCESS_KEYS.c.name == key.name
        self._connection.execute(update(ACCESS_KEYS).where(mine).values(**_values(key)))

    def delete(self, key: AccessKey) -> None:
        """Delete an access key."""
        self._connection.execute(delete(ACCESS_KEYS).where(ACCESS_KEYS.c.id == key.id))

    def _first(self, statement: Select[Any], **values: str) -> AccessKey | None:
        row = self._connection.execute(statement, values).first()
        return None if row is None else _key(row)


def _values(key: AccessKey) -> Mapping[str, Any]:
    return {
        "id": key.id,
        "secret": key.sealed_secret,
        "name": key.name,
        "policy": key.policy,
        "tags": dict(key.tags),
        "enabled": key.enabled,
        "created_at": key.created_at,
    }


def _key(row: Row[Any]) -> AccessKey:
    return AccessKey(
        id=row.id,
        sealed_secret=str(row.secret),
        name=row.name,
        policy=row.policy,
        tags=row.tags,
        enabled=row.enabled,
        created_at=row.created_at,
    )
