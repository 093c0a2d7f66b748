"""Which servers of a database are lost or have left, as one of the others sees it: for its log."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.storage.rows.all_rows import Rows
from blemish.storage.rows.servers import ServerRow

logger: FilteringBoundLogger = structlog.get_logger(__name__)


class LostServers:
    """Logs each server once when it falls silent, when it is back, and when it leaves."""

    def __init__(self, server_id: str, *, lease: timedelta) -> None:
        self._server_id = server_id
        self._lease = lease
        #: by their id
        self._lost: dict[str, ServerRow] = {}
        #: the others at the last look, by their id
        self._others: dict[str, ServerRow] = {}
        #: when this server was last seen, and since when without a gap
        self._beat_at: datetime | None = None
        self._beats_since: datetime | None = None

    def look(self, rows: Rows, now: datetime) -> None:
        """Log what has changed since the last look; the first one logs nothing.

        After a gap, for example because the database was away, others need time to be seen again.
        """
        servers = rows.servers.all()
        if self._beat_at is None:
            self._lost = self._silent(servers, now)
        elif now - self._beat_at > self._lease:
            silent_s = (now - self._beat_at).total_seconds()
            logger.warning("this server was silent; others may have its work", silent_s=silent_s)
            self._beats_since = None
        self._log_left(servers)
        self._beat_at = now
        self._beats_since = self._beats_since or now
        if now - self._beats_since <= self._lease:
            return
        silent = self._silent(servers, now)
        for name in silent.keys() - self._lost.keys():
            logger.warning(
                "a server was lost; others take over its work when its leases end",
                **_about(silent[name]),
                seen_at=silent[name].beat_at.isoformat(),
                work=rows.work.held_by(name),
            )
        former = [self._lost[name] for name in self._lost.keys() - silent.keys()]
        self._log_back(servers, now, former)
        self._lost = silent

    def _log_left(self, servers: Collection[ServerRow]) -> None:
        """Log the others whose row is gone, unless they were lost or have a new process."""
        others = {server.id: server for server in servers if server.id != self._server_id}
        folders = {server.directory_id for server in servers}
        for name in self._others.keys() - others.keys() - self._lost.keys():
            if self._others[name].directory_id not in folders:
                logger.info("a server has left", **_about(self._others[name]))
        self._others = others

    def _log_back(
        self, servers: Collection[ServerRow], now: datetime, former: Collection[ServerRow]
    ) -> None:
        """Log those of the servers that are seen again, perhaps as a new process."""
        folders = {server.directory_id for server in former}
        for server in servers:
            if server.directory_id in folders and server.beat_at >= now - self._lease:
                logger.info("a server that was lost is back", **_about(server))

    def _silent(self, servers: Collection[ServerRow], now: datetime) -> dict[str, ServerRow]:
        return {
            server.id: server
            for server in servers
            if server.id != self._server_id and server.beat_at < now - self._lease
        }


def _about(server: ServerRow) -> dict[str, str]:
    return {"server": server.id, "host": server.host, "address": server.address}
