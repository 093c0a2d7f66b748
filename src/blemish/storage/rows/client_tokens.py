"""Rows of client tokens: the changes made with them, and the answers."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, delete, insert, select

from blemish.domain.entities import AnsweredCall
from blemish.storage.database.tables import CLIENT_TOKENS

# Built once, since SDKs send a token with every change.
_OF_TOKEN = and_(
    CLIENT_TOKENS.c.operation == bindparam("of_operation"),
    CLIENT_TOKENS.c.token == bindparam("of_token"),
)
_FIND = select(CLIENT_TOKENS).where(_OF_TOKEN)
_DELETE = delete(CLIENT_TOKENS).where(_OF_TOKEN)
_ADD = insert(CLIENT_TOKENS)


class ClientTokens:
    """The client tokens, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, operation: str, token: str) -> AnsweredCall | None:
        """Return the last call of an operation with this token, of any age."""
        key = {"of_operation": operation, "of_token": token}
        row = self._connection.execute(_FIND, key).mappings().first()
        return None if row is None else AnsweredCall(**row)

    def put(self, call: AnsweredCall) -> None:
        """Store a call; it replaces an earlier one with its token."""
        key = {"of_operation": call.operation, "of_token": call.token}
        self._connection.execute(_DELETE, key)
        self._connection.execute(_ADD, asdict(call))

    def spend(self, model_id: int) -> None:
        """Delete the tokens that started or stopped a model."""
        spent = delete(CLIENT_TOKENS).where(CLIENT_TOKENS.c.model_id == model_id)
        self._connection.execute(spent)

    def delete_before(self, moment: datetime) -> int:
        """Delete the tokens first used before a time; return how many."""
        old = delete(CLIENT_TOKENS).where(CLIENT_TOKENS.c.created_at < moment)
        return self._connection.execute(old).rowcount
