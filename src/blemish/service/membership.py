"""This server among those that share a database of PostgreSQL.

Each process has a row, which says when it was seen last, by the clock of the database. The rows
that a process works on have leases of their own, so a server that falls silent loses them when
these end. Only a restart is quicker: the lock of the data directory shows that the former process
has ended, and what it held is free at once.

All servers need the same default key, since each opens what another has sealed, and the same
stores. A server that has others does not start.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.entities import AccessKey
from blemish.service.lost_servers import LostServers
from blemish.storage.database.database import Database
from blemish.storage.encryption.keyring import DEFAULT, Key, Keyring
from blemish.storage.errors import ServersDifferError
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
        self._lost = LostServers(server.id, lease=lease)

    def join(self) -> None:
        """Add the row, and free what former processes of this data directory worked on.

        A row of another machine may be that of a copy of the data directory, so it is left alone
        until it is silent.

        Raises:
            ServersDifferError: a server that is alive has other stores.
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
            others = self._others(rows, now)
            self._check_stores(others)
            self._add(rows, now)
            self._lost.look(rows, now)
        logger.info(
            "server joined",
            id=self._server.id,
            ended=len(ended),
            others=[f"{server.host} {server.address}" for server in others],
        )

    def beat(self) -> None:
        """Write that this server is alive; log the others that are lost or back."""
        with self._database.renewing() as rows:
            now = self._clock(rows)
            if not rows.servers.beat(self._server.id, now):
                self._add(rows, now)
            self._lost.look(rows, now)

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

    def _check_stores(self, others: Sequence[ServerRow]) -> None:
        for server in others:
            if server.stores != self._server.stores:
                raise ServersDifferError(
                    f"The server {server.address} on {server.host} shares this database and has "
                    f"its {server.stores}; this one is set to {self._server.stores}. Set "
                    "BLEMISH_S3_ENDPOINT and BLEMISH_FILES_URL to the same on all servers; to "
                    "change them, stop all servers first."
                )

    def _is_alive(self, server: ServerRow, now: datetime) -> bool:
        return server.beat_at >= now - self._lease


class DefaultKey:
    """The key that all servers of a database seal under by default."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    def settle(
        self, new_key: Key, *, opens: Callable[[AccessKey], bool] | None, forgets: bool = False
    ) -> None:
        """Make the first default key, or check that this server has that of the others.

        Args:
            new_key: the key to add to the keyring if the database knows no default key.
            opens: tells whether the secret of an access key can be opened. A new server that
                opens none has another key than the server before it. None if that is no matter.
            forgets: whether the key of this server replaces the one that the database knows.

        Raises:
            ServersDifferError: it has another one, or none.
        """
        with self._database.writing() as rows:
            if forgets:
                rows.directory.set_default_key(None)
            known = rows.directory.default_key()
            access_keys = rows.keys.all()
        is_first = known is None
        if is_first and opens is not None and access_keys and not any(map(opens, access_keys)):
            raise self._error()
        if is_first:
            self._keyring.settle(new_key)
        key = self._keyring.find(DEFAULT)
        with self._database.writing() as rows:
            known = rows.directory.default_key()
            if known is None and key is not None:
                known = key_digest(key)
                rows.directory.set_default_key(known)
        if key is None or key_digest(key) != known:
            raise self._error()

    def _error(self) -> ServersDifferError:
        return ServersDifferError(
            f"The servers of this database have a default key that {self._keyring.folder} does not "
            "hold. Copy the files of `keyring/` from the data directory of a server that runs "
            "into this folder, or mount one folder on all of them; a default key that was made "
            "on this machine alone has to go. Nothing was changed."
        )


def key_digest(key: Key) -> str:
    """Return a text that tells a key from others and does not give it away."""
    return hashlib.sha256(b"blemish default key " + key.secret).hexdigest()


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
