"""A database of a PostgreSQL server, by psycopg.

Reads are REPEATABLE READ and READ ONLY. Writes wait for each other at one advisory lock, which has
the part of SQLite's BEGIN IMMEDIATE: what a transaction has read stays true until it commits.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, text

from blemish.storage.database.addresses import PostgresqlAddress
from blemish.storage.database.engines import (
    BUSY_TIMEOUT_S,
    LOCK_PATIENCE_S,
    DatabaseSummary,
    summary_from_rows,
)
from blemish.storage.database.row_copies import copy_rows_to_file
from blemish.storage.errors import DatabaseError, DatabaseUnavailableError

WRITERS_LOCK = 0x626C656D697368
"""Key of the advisory lock of writers, in a database of Blemish's own ("blemish" in ASCII)."""

OLDEST = 130_000
"""The oldest version of PostgreSQL, as it numbers itself."""

WRITER_SILENCE_S = 4
"""How long a write transaction may wait for its server, which may have been stopped in it."""

READER_SILENCE_S = 600
"""How long a read transaction may wait for its server: it is in nobody's way."""

STATEMENT_TIMEOUT_S = 90
"""How long a statement may take, the wait for the lock of writers included."""

CONNECT_TIMEOUT_S = 5
"""How long a server may take to answer to a new connection."""

POOL_PATIENCE_S = 30
"""How long a transaction waits for a connection while all are in use."""

READERS, MORE_READERS, WRITERS, RENEWERS = 8, 24, 4, 2
"""Connections of readers that stay open, more of them under load, of writers, and of renewals."""

_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_RENEW = "BEGIN"
_WRITE = f"BEGIN; SELECT pg_advisory_xact_lock({WRITERS_LOCK})"
_UNHURRIED = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"

# counted in the statement that asks: one round trip, and none of an empty transaction is written
_MARK = text(
    "UPDATE directory SET mark = mark + 1 WHERE pg_current_xact_id_if_assigned() IS NOT NULL "
    "RETURNING mark"
)

_DEFAULTS: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "application_name": "blemish",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # in milliseconds
}

_LOCKED = frozenset({"55P03", "57014"})
"""States of SQL: the lock was not available, or the statement took too long."""

_PASSING = ("08", "25P03", "25006", "40", "53", "57", "58")
"""States of SQL, by their beginnings, that come from outside: connection, resources, shutdown."""


class PostgresqlEngine:
    """A database of a PostgreSQL server."""

    def __init__(self, address: PostgresqlAddress) -> None:
        self.address = address
        self._readers = _engine(
            address,
            silence_s=READER_SILENCE_S,
            size=READERS,
            more=MORE_READERS,
            only_reads=True,
        )
        self._writers = _engine(address, silence_s=WRITER_SILENCE_S, size=WRITERS)
        self._renewers = _engine(address, silence_s=WRITER_SILENCE_S, size=RENEWERS)

    @property
    def version(self) -> str:
        """Name and version of the database software."""
        with self.reading() as connection:
            return f"PostgreSQL {connection.scalar(text('SHOW server_version'))}"

    def create(self) -> None:
        """Check the database that the administrator has created.

        Raises:
            DatabaseError: its server is too old, it cannot hold every character, or it is empty
                and the user may not create tables.
        """
        settings = (
            "SELECT current_setting('server_version_num'), current_setting('server_encoding'), "
            "to_regclass('alembic_version') IS NOT NULL "
            "OR coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)"
        )
        with self.reading() as connection:
            version, encoding, may_create = connection.execute(text(settings)).one()
        if int(version) < OLDEST:
            raise DatabaseError(f"{self.address} is older than PostgreSQL {OLDEST // 10_000}.")
        if encoding != "UTF8":
            raise DatabaseError(
                f"{self.address} has the encoding {encoding}. Create it with ENCODING 'UTF8' "
                "TEMPLATE template0."
            )
        if not may_create:
            raise DatabaseError(
                f"The user of {self.address} may not create tables there. Make it the owner of "
                "the database."
            )

    def exists(self) -> bool:
        """Return True; whether it can be reached, the first transaction shows."""
        return True

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Begin a transaction that sees one snapshot and cannot write."""
        with self._readers.begin() as connection:
            _begin(connection, _READ)
            yield connection

    @contextmanager
    def looking_up(self) -> Iterator[Connection]:
        """Allow one statement that reads, without the round trips of a transaction around it."""
        with self._readers.begin() as connection:
            yield connection

    @contextmanager
    def writing(self, *, hurried: bool = True, alone: bool = True) -> Iterator[Connection]:
        """Begin a transaction that writes.

        Args:
            hurried: whether PostgreSQL ends it when it hears nothing for `WRITER_SILENCE_S`.
            alone: whether it waits for all others. Renewals of leases do not.
        """
        engine = self._writers if alone else self._renewers
        with engine.begin() as connection:
            _begin(connection, _WRITE if alone else _RENEW)
            if not hurried:
                _driver(connection).execute(_UNHURRIED, prepare=False)
            yield connection

    def mark_counter(self, connection: Connection) -> Callable[[], int | None]:
        """Return a function that counts this transaction, and returns its mark."""
        return lambda: connection.scalar(_MARK)

    def explained(self, error: exc.SQLAlchemyError, *, is_writing: bool) -> DatabaseError | None:
        """Return the error that says what is wrong outside; None for a mistake of ours."""
        if isinstance(error, exc.TimeoutError):
            reason = "it has no free connection: too many requests at once"
            return DatabaseUnavailableError(f"{self.address}: {reason}.")
        if not isinstance(error, exc.DBAPIError):
            return None
        state = _state(error)
        if is_writing and state in _LOCKED:
            return DatabaseUnavailableError(f"{self.address} is locked by another server.")
        is_outside = error.connection_invalidated or (
            isinstance(error.orig, psycopg.OperationalError) and state is None
        )
        if state == "25006" and not is_writing:
            return None  # a statement that writes
        if not is_outside and not (state or "").startswith(_PASSING):
            return None
        verb = "written" if is_writing else "read"
        return DatabaseUnavailableError(f"{self.address} cannot be {verb} now ({_reason(error)}).")

    def save_copy(self, version: str) -> None:
        """Do nothing: migrations are whole or undone, and backups are the administrator's."""

    def copy_to(self, target: Path) -> None:
        """Copy the rows as of the last commit into a new file of SQLite (mode 0600, synced).

        Raises:
            DatabaseWriteError: the copy cannot be written.
            DatabaseError: the database cannot be read.
        """
        with self._read_or_explain() as connection:
            copy_rows_to_file(connection, target)

    def summary(self) -> DatabaseSummary | None:
        """Return what identifies the database, of any version; None if it has no tables.

        Raises:
            DatabaseError: it cannot be read.
        """
        with self._read_or_explain() as connection:
            tables = inspect(connection).get_table_names()
            return summary_from_rows(tables, lambda sql: list(connection.execute(text(sql))))

    def damage(self) -> str | None:
        """Return None: PostgreSQL checks its pages itself."""

    def size_bytes(self) -> int:
        """Return the size of the database."""
        with self._read_or_explain() as connection:
            return connection.scalar(text("SELECT pg_database_size(current_database())")) or 0

    def write_problem(self, *, is_writing: bool) -> str | None:
        """Return why nothing can be written now; None if it can, or this process writes."""
        try:
            with psycopg.connect(_conninfo(self.address)) as connection:
                if connection.execute("SHOW transaction_read_only").fetchone() == ("on",):
                    return f"{self.address} takes no changes: it is a standby, or read-only"
                connection.execute(f"SET lock_timeout = {int(LOCK_PATIENCE_S * 1_000)}")
                connection.execute(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")
        except psycopg.errors.LockNotAvailable:
            return None if is_writing else f"{self.address} is locked by another server"
        except psycopg.Error as error:
            return f"{self.address}: {_first_line(error)}"
        return None

    def shorten_log(self, max_bytes: int) -> bool:
        """Return True: PostgreSQL bounds its log itself."""
        del max_bytes
        return True

    def close(self) -> None:
        """Close every connection."""
        self._readers.dispose()
        self._writers.dispose()
        self._renewers.dispose()

    @contextmanager
    def _read_or_explain(self) -> Iterator[Connection]:
        try:
            with self.reading() as connection:
                yield connection
        except exc.SQLAlchemyError as error:
            raise self.explained(error, is_writing=False) or DatabaseError(
                f"{self.address} cannot be read as a database ({_reason(error)})."
            ) from error


def _conninfo(address: PostgresqlAddress) -> str:
    """Return how to connect: what the address says, and our defaults for what it leaves out."""
    try:
        said = conninfo_to_dict(address.url)
    except psycopg.Error as error:
        raise DatabaseError(f"BLEMISH_DATABASE_URL: {_first_line(error)}") from None
    return make_conninfo(**_DEFAULTS | {name: value for name, value in said.items() if value})


def _engine(
    address: PostgresqlAddress,
    *,
    silence_s: int,
    size: int,
    more: int = 0,
    only_reads: bool = False,
) -> Engine:
    conninfo = _conninfo(address)
    settings = (
        "SET TIME ZONE 'UTC'; "
        f"SET lock_timeout = '{BUSY_TIMEOUT_S}s'; "
        f"SET statement_timeout = '{STATEMENT_TIMEOUT_S}s'; "
        f"SET idle_in_transaction_session_timeout = '{silence_s}s'"
    )
    if only_reads:
        settings += "; SET default_transaction_read_only = on"

    def connect() -> psycopg.Connection:
        connection = psycopg.connect(conninfo, autocommit=True)  # to begin is ours
        connection.execute(settings, prepare=False)
        return connection

    engine = create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=size,
        max_overflow=more,
        pool_timeout=POOL_PATIENCE_S,
        pool_use_lifo=True,  # few connections, with warm caches
        hide_parameters=True,  # parameters may be secrets
        use_native_hstore=False,
    )

    @event.listens_for(engine, "checkout")
    def _check(driver: psycopg.Connection, *_: object) -> None:
        if _is_closed(driver):
            raise exc.InvalidatePoolError  # and of all others that are as old

    return engine


def _begin(connection: Connection, statements: str) -> None:
    driver = _driver(connection)
    try:
        driver.execute(statements, prepare=False)
    except psycopg.Error as error:
        raise exc.OperationalError(
            statements, None, error, hide_parameters=True, connection_invalidated=driver.closed
        ) from error


def _is_closed(driver: psycopg.Connection) -> bool:
    """Return whether the server has closed an idle connection: it says so before it is asked."""
    if driver.closed:
        return True
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _driver(connection: Connection) -> psycopg.Connection:
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def _state(error: exc.DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _reason(error: exc.SQLAlchemyError) -> str:
    return _first_line(error.orig if isinstance(error, exc.DBAPIError) else error)


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0]
