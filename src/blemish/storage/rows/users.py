"""Rows of the users who sign in by a name."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, select, update

from blemish.domain.access.roles import UserRole
from blemish.domain.entities import User
from blemish.storage.database.access_tables import USERS

# Built once, since every request of a browser reads its user.
_NAMED = select(USERS).where(USERS.c.name == bindparam("of_name"))
_IDENTIFIED = select(USERS).where(USERS.c.identity == bindparam("of_identity"))


class UserRows:
    """The users, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, user: User) -> None:
        """Add a user; the name must be new."""
        self._connection.execute(insert(USERS).values(**asdict(user)))

    def named(self, name: str) -> User | None:
        """Return the user of this name."""
        return self._first(_NAMED, of_name=name)

    def identified(self, identity: str) -> User | None:
        """Return the user of this identity at an identity provider."""
        return self._first(_IDENTIFIED, of_identity=identity)

    def all(self) -> list[User]:
        """Return the users by name."""
        rows = self._connection.execute(select(USERS).order_by(USERS.c.name)).mappings()
        return [_user(row) for row in rows]

    def replace(self, user: User) -> None:
        """Replace the user of the same name."""
        mine = USERS.c.name == user.name
        self._connection.execute(update(USERS).where(mine).values(**asdict(user)))

    def _first(self, statement: Select[Any], **values: str) -> User | None:
        row = self._connection.execute(statement, values).mappings().first()
        return None if row is None else _user(row)


def _user(row: Any) -> User:
    return User(**{**row, "role": UserRole(row["role"])})
