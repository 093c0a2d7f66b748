"""A database in a file, by SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc

from blemish.storage.database.copies import copy_database, database_summary
from blemish.storage.database.engines import BUSY_TIMEOUT_S, LOCK_PATIENCE_S, DatabaseSummary
from blemish.storage.errors import (
    DatabaseBusyError,
    DatabaseError,
    DatabaseReadError,
    DatabaseWriteError,
)
from blemish.storage.files import sync_folder

OPEN_CONNECTIONS = 32
"""Connections that stay open between transactions: of readers, and of writers."""

_ON_CONNECT = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a commit survives a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = FAST",  # deleted data is overwritten with zeros
)
# under WAL, a read transaction that starts to write may fail at once
_ONLY_READS = "PRAGMA query_only = ON"

_MARK = "UPDATE directory SET mark = mark + 1 RETURNING mark"

_PASSING_READS = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM}
)
_DISK_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,  # too many open files, among others
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
    }
)


class SqliteEngine:
    """A database in a file."""

    def __init__(self, path: Path) -> None:
        self.address = path
        self._readers = _engine(path, on_connect=(*_ON_CONNECT, _ONLY_READS))
        self._writers = _engine(path, on_connect=_ON_CONNECT)

    @property
    def version(self) -> str:
        """Name and version of the database software."""
        return f"SQLite {sqlite3.sqlite_version}"

    def create(self) -> None:
        """Create the file (mode 0600), if it is missing.

        Raises:
            OSError: it cannot be created.
        """
        if not self.address.exists():
            self.address.touch(mode=0o600)
            sync_folder(self.address.parent)

    def exists(self) -> bool:
        """Return whether there is a file."""
        return self.address.exists()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Begin a transaction that sees one snapshot and cannot write."""
        with self.looking_up() as connection:
            _driver(connection).execute("BEGIN")
            yield connection

    @contextmanager
    def looking_up(self) -> Iterator[Connection]:
        """Allow one statement that reads: it sees one snapshot by itself."""
        with self._readers.begin() as connection:
            yield connection

    @contextmanager
    def writing(self, *, hurried: bool = True, alone: bool = True) -> Iterator[Connection]:
        """Begin the only transaction that writes; it ends with this process."""
        del hurried, alone
        with self._writers.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    def mark_counter(self, connection: Connection) -> Callable[[], int | None]:
        """Return a function that counts this transaction, and returns its mark."""
        before = _changes(connection)

        def count() -> int | None:
            if _changes(connection) == before:
                return None
            mark: int | None = connection.exec_driver_sql(_MARK).scalar()
            return mark

        return count

    def explained(self, error: exc.SQLAlchemyError, *, is_writing: bool) -> DatabaseError | None:
        """Return the error that says what is wrong outside; None for a mistake of ours."""
        if not isinstance(error, exc.DatabaseError):
            return None
        code = int(getattr(error.orig, "sqlite_errorcode", 0)) & 0xFF  # the primary result code
        if not is_writing:
            if code not in _PASSING_READS:
                return None
            return DatabaseReadError(f"{self.address} cannot be read now ({error.orig}).")
        if code == sqlite3.SQLITE_BUSY:
            return DatabaseBusyError(f"{self.address} is locked by another process.")
        if code not in _DISK_TROUBLE:
            return None
        return DatabaseWriteError(f"{self.address} cannot be written ({error.orig}).")

    def save_copy(self, version: str) -> Path:
        """Copy the file to its own name plus `.before-` and a version; return that.

        Raises:
            DatabaseError: it cannot be copied.
        """
        copy = self.address.with_name(f"{self.address.name}.before-{version}")
        copy_database(self.address, copy)
        return copy

    def copy_to(self, target: Path) -> None:
        """Copy the database as of the last commit to a new file (mode 0600, synced).

        Raises:
            DatabaseWriteError: the copy cannot be written.
            DatabaseError: the database cannot be read.
        """
        copy_database(self.address, target)

    def summary(self) -> DatabaseSummary | None:
        """Return what identifies the database, of any version; None if it has no tables.

        Raises:
            DatabaseError: it cannot be read.
        """
        return database_summary(self.address) if self.address.exists() else None

    def damage(self) -> str | None:
        """Return what is damaged in the file, as far as a quick look shows."""
        with self.reading() as connection:
            verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        return None if verdict == "ok" else str(verdict)

    def size_bytes(self) -> int:
        """Return the size of the file."""
        return self.address.stat().st_size

    def write_problem(self, *, is_writing: bool) -> str | None:
        """Return why nothing can be written now; None if it can, or this process writes."""
        path = self.address
        try:
            with closing(sqlite3.connect(path, timeout=LOCK_PATIENCE_S)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if is_busy and is_writing:
                return None
            return f"{path} is locked by another process" if is_busy else f"{path}: {error}"
        return None

    def shorten_log(self, max_bytes: int) -> bool:
        """Write the write-ahead log back if it is larger; return False if that was not possible.

        SQLite does so itself only at a moment without readers, which never comes under load.
        Writers wait for up to a second.
        """
        log = self.address.with_name(f"{self.address.name}-wal")
        if not log.exists() or log.stat().st_size <= max_bytes:
            return True
        with closing(sqlite3.connect(self.address, timeout=1, isolation_level=None)) as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def close(self) -> None:
        """Close every connection."""
        self._readers.dispose()
        self._writers.dispose()


def _engine(path: Path, *, on_connect: Sequence[str]) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_S},
        pool_size=OPEN_CONNECTIONS,
        max_overflow=-1,  # the thread pools bound the connections
        pool_use_lifo=True,  # few connections, with warm caches
        hide_parameters=True,  # parameters may be secrets
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        for pragma in on_connect:
            connection.execute(pragma)

    return engine


def _changes(connection: Connection) -> int:
    """Return how many rows this connection has changed since it was opened."""
    return _driver(connection).total_changes


def _driver(connection: Connection) -> sqlite3.Connection:
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver
