"""Rows of the servers that share a database of PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, update

from blemish.storage.database.server_table import SERVERS


@dataclass(frozen=True, kw_only=True)
class ServerRow:
    """A process that serves, or did until it was seen last."""

    id: str
    #: of its data directory, the same after a restart
    directory_id: str
    #: name of its machine
    host: str
    #: host and port of the settings
    address: str
    version: str
    #: where its buckets and files are, as its settings say; no secret
    stores: str
    started_at: datetime
    beat_at: datetime


class Servers:
    """The servers, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[ServerRow]:
        """Return the servers, by their start."""
        statement = select(SERVERS).order_by(SERVERS.c.started_at, SERVERS.c.id)
        return [ServerRow(**row) for row in self._connection.execute(statement).mappings()]

    def count(self, since: datetime) -> int:
        """Return how many servers were alive at a time or later."""
        statement = select(func.count()).select_from(SERVERS).where(SERVERS.c.beat_at >= since)
        return self._connection.execute(statement).scalar_one()

    def add(self, server: ServerRow) -> None:
        """Add a server."""
        self._connection.execute(insert(SERVERS).values(**vars(server)))

    def beat(self, server_id: str, now: datetime) -> bool:
        """Set when a server was seen last; return False if it is unknown."""
        statement = update(SERVERS).where(SERVERS.c.id == server_id).values(beat_at=now)
        return self._connection.execute(statement).rowcount == 1

    def remove(self, server_ids: Collection[str]) -> None:
        """Remove servers that have ended."""
        self._connection.execute(delete(SERVERS).where(SERVERS.c.id.in_(server_ids)))

    def remove_silent(self, before: datetime) -> int:
        """Remove servers that were seen last before a time; return how many."""
        statement = delete(SERVERS).where(SERVERS.c.beat_at < before)
        return self._connection.execute(statement).rowcount
