"""Which servers of a database are lost, as one of the others sees it: for its log."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.storage.rows.all_rows import Rows
from blemish.storage.rows.servers import ServerRow

logger: FilteringBoundLogger = structlog.get_logger(__name__)


class LostServers:
    """Logs each server once when it falls silent, and once when it is back."""

    def __init__(self, server_id: str, *, lease: timedelta) -> None:
        self._server_id = server_id
        self._lease = lease
        #: by their id
        self._lost: dict[str, ServerRow] = {}
        #: when this server was last seen, and since when without a gap
        self._beat_at: datetime | None = None
        self._beats_since: datetime | None = None

    def look(self, rows: Rows, now: datetime) -> None:
        """Log what has changed since the last look; the first one logs nothing.

        After a gap, for example because the database was away, others need time to be seen again.
        """
        if self._beat_at is None:
            self._lost = self._silent(rows, now)
        elif now - self._beat_at > self._lease:
            silent_s = (now - self._beat_at).total_seconds()
            logger.warning("this server was silent; others may have its work", silent_s=silent_s)
            self._beats_since = None
        self._beat_at = now
        self._beats_since = self._beats_since or now
        if now - self._beats_since <= self._lease:
            return
        silent = self._silent(rows, now)
        for name in silent.keys() - self._lost.keys():
            logger.warning(
                "a server was lost; others take over its work when its leases end",
                **_about(silent[name]),
                seen_at=silent[name].beat_at.isoformat(),
                work=rows.work.held_by(name),
            )
        self._log_back(rows, now, [self._lost[name] for name in self._lost.keys() - silent.keys()])
        self._lost = silent

    def _log_back(self, rows: Rows, now: datetime, former: Collection[ServerRow]) -> None:
        """Log those of the servers that are seen again, perhaps as a new process."""
        folders = {server.directory_id for server in former}
        for server in rows.servers.all() if folders else ():
            if server.directory_id in folders and server.beat_at >= now - self._lease:
                logger.info("a server that was lost is back", **_about(server))

    def _silent(self, rows: Rows, now: datetime) -> dict[str, ServerRow]:
        silent = rows.servers.silent(now - self._lease)
        return {server.id: server for server in silent if server.id != self._server_id}


def _about(server: ServerRow) -> dict[str, str]:
    return {"server": server.id, "host": server.host, "address": server.address}
