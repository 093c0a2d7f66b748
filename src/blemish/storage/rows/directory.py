"""The row of the data directory: its identity, its mark and its clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from blemish.storage.database.tables import DIRECTORY


class DirectoryRow:
    """The one row of the data directory, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def id(self) -> str | None:
        """Return the identity of the data directory; None if the database has none yet."""
        return self._connection.scalar(select(DIRECTORY.c.id))

    def set_id(self, directory_id: str) -> None:
        """Set the identity of the data directory."""
        self._connection.execute(update(DIRECTORY).values(id=directory_id))

    def mark(self) -> int:
        """Return the number of transactions that changed rows."""
        mark: int = self._connection.execute(select(DIRECTORY.c.mark)).scalar_one()
        return mark

    def clock(self) -> tuple[datetime | None, list[Any]]:
        """Return the newest time that was read, and the jumps of the clock."""
        statement = select(DIRECTORY.c.clock_read_at, DIRECTORY.c.clock_gaps)
        row = self._connection.execute(statement).one()
        return row.clock_read_at, row.clock_gaps

    def set_clock(self, read_at: datetime, gaps: Sequence[Any]) -> None:
        """Set the newest time that was read, and the jumps of the clock."""
        statement = update(DIRECTORY).values(clock_read_at=read_at, clock_gaps=list(gaps))
        self._connection.execute(statement)

    def default_key(self) -> str | None:
        """Return the digest of the key that all servers seal under by default."""
        return self._connection.scalar(select(DIRECTORY.c.default_key))

    def set_default_key(self, digest: str | None) -> None:
        """Set the digest of the key that all servers seal under by default; None forgets it."""
        self._connection.execute(update(DIRECTORY).values(default_key=digest))
