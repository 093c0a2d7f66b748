"""This server among those that share a database of PostgreSQL.

Each process has a row, which says when it was seen last, by the clock of the database. The rows
that a process works on have leases of their own, so a server that falls silent loses them when
these end. Only a restart is quicker: the lock of the data directory shows that the former process
has ended, and what it held is free at once.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.storage.database.database import Database
from blemish.storage.files import write_durably
from blemish.storage.rows.all_rows import Rows
from blemish.storage.rows.servers import ServerRow

logger: FilteringBoundLogger = structlog.get_logger(__name__)

FORGOTTEN_AFTER = timedelta(days=1)
"""Servers that were not seen for this time are removed from the rows."""


class Membership:
    """The row of this server."""

    def __init__(
        self,
        database: Database,
        *,
        server: ServerRow,
        clock: Callable[[Rows], datetime],
        lease: timedelta,
    ) -> None:
        self._database = database
        self._server = server
        self._clock = clock
        self._lease = lease

    def join(self) -> None:
        """Add the row, and free what former processes of this data directory worked on.

        A row of another machine may be that of a copy of the data directory, so it is left alone
        until it is silent.
        """
        with self._database.writing() as rows:
            now = self._clock(rows)
            ended = [
                server.id
                for server in rows.servers.all()
                if server.directory_id == self._server.directory_id
                and (server.host == self._server.host or not self._is_alive(server, now))
            ]
            rows.work.interrupt_all(now, owners=ended)
            rows.servers.remove(ended)
            rows.servers.remove_silent(now - FORGOTTEN_AFTER)
            self._add(rows, now)
            others = [server.address for server in self._others(rows, now)]
        logger.info("server joined", id=self._server.id, ended=len(ended), others=others)

    def beat(self) -> None:
        """Write that this server is alive."""
        with self._database.renewing() as rows:
            now = self._clock(rows)
            if not rows.servers.beat(self._server.id, now):
                self._add(rows, now)

    def leave(self) -> None:
        """Remove the row."""
        with self._database.writing() as rows:
            rows.servers.remove([self._server.id])

    def _add(self, rows: Rows, now: datetime) -> None:
        rows.servers.add(replace(self._server, started_at=now, beat_at=now))

    def _others(self, rows: Rows, now: datetime) -> list[ServerRow]:
        """Return the other servers that were seen within a lease."""
        return [
            server
            for server in rows.servers.all()
            if server.id != self._server.id and self._is_alive(server, now)
        ]

    def _is_alive(self, server: ServerRow, now: datetime) -> bool:
        return server.beat_at >= now - self._lease


def directory_id_of(path: Path, *, staging: Path) -> str:
    """Return the id in a file, which is drawn when there is none.

    Raises:
        StoreWriteError: the file cannot be written.
    """
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        directory_id = str(uuid.uuid4())
        write_durably(path, f"{directory_id}\n".encode(), staging=staging)
        return directory_id
