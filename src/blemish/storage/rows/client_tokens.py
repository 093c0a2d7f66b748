"""Rows of client tokens: which changes were made for them, and what was answered."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, and_, bindparam, delete, insert, select

from blemish.domain.entities import AnsweredCall
from blemish.storage.database.tables import CLIENT_TOKENS

# SDKs send a token with every change, so these are made once and not for every call
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
        """Return what an operation was last asked with this token, however long ago."""
        key = {"of_operation": operation, "of_token": token}
        row = self._connection.execute(_FIND, key).mappings().first()
        return None if row is None else AnsweredCall(**row)

    def put(self, call: AnsweredCall) -> None:
        """Remember a call in the place of an earlier one with its token."""
        key = {"of_operation": call.operation, "of_token": call.token}
        self._connection.execute(_DELETE, key)
        self._connection.execute(_ADD, asdict(call))

    def spend(self, model_id: int) -> None:
        """Forget the starts and stops of a model: what they led to stands no longer."""
        spent = delete(CLIENT_TOKENS).where(CLIENT_TOKENS.c.model_id == model_id)
        self._connection.execute(spent)

    def delete_before(self, moment: datetime) -> int:
        """Delete the tokens that were first used before a moment; return how many."""
        old = delete(CLIENT_TOKENS).where(CLIENT_TOKENS.c.created_at < moment)
        return self._connection.execute(old).rowcount
