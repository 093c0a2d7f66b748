"""The database: opening and migrating SQLite, and transactions.

Only this module knows SQLite; the rest of the SQL is portable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, inspect, text
from structlog.typing import FilteringBoundLogger

from blemish.storage.database.copies import copy_database
from blemish.storage.errors import (
    DatabaseBusyError,
    DatabaseError,
    DatabaseReadError,
    DatabaseWriteError,
    SchemaTooNewError,
)
from blemish.storage.files import sync_folder
from blemish.storage.rows.all_rows import Rows, rows_of

logger: FilteringBoundLogger = structlog.get_logger(__name__)

MIGRATIONS = Path(__file__).parent.parent / "migrations"

BUSY_TIMEOUT_S = 60
"""How long a write waits for other writes."""

LOCK_PATIENCE_S = 1.0
"""How long a check waits for the lock before it calls the database locked."""

_ON_CONNECT = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # a commit survives a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = FAST",  # deleted data is overwritten with zeros
)
# under WAL, a read transaction that starts to write may fail at once
_READ = ("PRAGMA query_only = ON", "BEGIN")
_WRITE = ("PRAGMA query_only = OFF", "BEGIN IMMEDIATE")

_MARK = "UPDATE directory SET mark = mark + 1 RETURNING mark"

_PASSING_READS = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM}
)

OPEN_CONNECTIONS = 32
"""Connections that stay open between transactions."""
_DISK_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,  # too many open files, among others
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
    }
)


class Database:
    """Opens transactions for any number of threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = engine.execution_options(begin=_READ)
        self._writers = engine.execution_options(begin=_WRITE)
        #: whether a transaction of this process holds the lock of writers
        self._writes_now = False
        self._report_mark: Callable[[int], None] = _ignore_mark

    @classmethod
    def open(cls, path: Path) -> Database:
        """Open the database in a file; create it (mode 0600) or migrate it if needed.

        Before a migration, the file is copied to its own name plus `.before-` and the new version.

        Raises:
            SchemaTooNewError: a later version of Blemish wrote it.
            DatabaseError: it is no database, cannot be read or written, or cannot be migrated.
        """
        database = cls(_engine(path))
        try:
            if not path.exists():
                path.touch(mode=0o600)
                sync_folder(path.parent)
            database._migrate(path)
        except (OSError, exc.DatabaseError) as error:
            database.close()
            reason = error.strerror if isinstance(error, OSError) else error.orig
            raise DatabaseError(f"{path} cannot be opened as a database ({reason}).") from error
        except DatabaseError:
            database.close()
            raise
        return database

    @classmethod
    def open_current(cls, path: Path) -> Database:
        """Open an existing database of this version; neither create nor migrate it.

        Raises:
            SchemaTooNewError: a later version of Blemish wrote it.
            DatabaseError: it does not exist, an earlier version wrote it, or it cannot be read.
        """
        if not path.exists():
            raise DatabaseError(f"There is no database {path}.")
        database = cls(_engine(path))
        try:
            version = database._schema(path)
        except exc.DatabaseError as error:
            database.close()
            raise DatabaseError(f"{path} cannot be read as a database ({error.orig}).") from error
        except DatabaseError:
            database.close()
            raise
        if version != _newest():
            database.close()
            raise DatabaseError(
                f"{path} was written by an earlier version of Blemish: its schema is {version}, "
                f"and not {_newest()}. Start the server once, which brings it up to date; or use "
                "the version that wrote it."
            )
        return database

    @classmethod
    def check(cls, path: Path) -> None:
        """Check that a file is an intact database that this version can use or migrate.

        Raises:
            SchemaTooNewError: a later version of Blemish wrote it.
            DatabaseError: it is no database, or is damaged.
        """
        database = cls(_engine(path))
        try:
            database._schema(path)
            with database._readers.begin() as connection:
                verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        except exc.DatabaseError as error:
            raise DatabaseError(f"{path} cannot be read as a database ({error.orig}).") from error
        finally:
            database.close()
        if verdict != "ok":
            raise DatabaseError(f"{path} is damaged ({verdict}).")

    @contextmanager
    def writing(self) -> Iterator[Rows]:
        """Begin the only write transaction; commit at the end, roll back on an exception.

        Raises:
            DatabaseWriteError: the disk is full or cannot be written.
        """
        try:
            with self._writers.begin() as connection:
                before = _changes(connection)
                self._writes_now = True
                try:
                    yield rows_of(connection)
                finally:
                    self._writes_now = False
                changed = _changes(connection) != before
                mark = connection.exec_driver_sql(_MARK).scalar() if changed else None
            if mark is not None:
                self._report_mark(mark)
        except exc.DatabaseError as error:
            path, code = (
                self._engine.url.database,
                getattr(error.orig, "sqlite_errorcode", 0) & 0xFF,
            )
            if code == sqlite3.SQLITE_BUSY:
                raise DatabaseBusyError(f"{path} is locked by another process.") from error
            if code not in _DISK_TROUBLE:
                raise
            raise DatabaseWriteError(f"{path} cannot be written ({error.orig}).") from error

    @contextmanager
    def reading(self) -> Iterator[Rows]:
        """Begin a read transaction, which sees one snapshot of the rows.

        Raises:
            DatabaseReadError: the database cannot be read for now.
        """
        try:
            with self._readers.begin() as connection:
                yield rows_of(connection)
        except exc.DatabaseError as error:
            if _code(error) not in _PASSING_READS:
                raise
            path = self._engine.url.database
            raise DatabaseReadError(f"{path} cannot be read now ({error.orig}).") from error

    def shorten_log(self, max_bytes: int) -> bool:
        """Write the write-ahead log back if it is larger; return False if that was not possible.

        SQLite does so itself only at a moment without readers, which never comes under load.
        Writers wait for up to a second.
        """
        path = Path(str(self._engine.url.database))
        log = path.with_name(f"{path.name}-wal")
        if not log.exists() or log.stat().st_size <= max_bytes:
            return True
        with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def write_problem(self) -> str | None:
        """Return why nothing can be written now; None if it can, or we are writing."""
        path = Path(str(self._engine.url.database))
        try:
            with closing(sqlite3.connect(path, timeout=LOCK_PATIENCE_S)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if is_busy and self._writes_now:
                return None
            return f"{path} is locked by another process" if is_busy else f"{path}: {error}"
        return None

    def report_marks(self, report: Callable[[int], None]) -> None:
        """Call `report` with the mark of the database after each commit that changed rows."""
        self._report_mark = report

    def close(self) -> None:
        """Close every connection. No transaction may be open."""
        self._engine.dispose()

    def _migrate(self, path: Path) -> None:
        newest = _newest()
        if self._schema(path) == newest:
            return
        copy = path.with_name(f"{path.name}.before-{newest}")
        with self._writers.begin() as connection:
            version = _version(connection)  # this transaction excludes other writers
            if version == newest:
                return
            if version is None:
                _upgrade(connection)
                return
            copy_database(path, copy)
            logger.info("database copied", copy=str(copy), schema=version, next_schema=newest)
            try:
                _upgrade(connection)
            except Exception as error:
                reason = getattr(error, "orig", error)  # without the statement
                raise DatabaseError(
                    f"{path} could not be brought from schema {version} to {newest} ({reason}). "
                    f"It is as it was, and a copy of it is {copy}. Run the version of Blemish "
                    "that ran before."
                ) from error

    def _schema(self, path: Path) -> str | None:
        """Return the version of the schema; None for a new database.

        Raises:
            SchemaTooNewError: this version does not know the schema.
        """
        with self._readers.begin() as connection:
            version = _version(connection)
        if version is not None and version not in _steps():
            raise SchemaTooNewError(
                f"{path} was written by a later version of Blemish: its schema is {version}, and "
                f"this version knows none after {_newest()}. Run the later version; or go back to "
                f"the copy that was made before its first start, {path}.before-{version} or one "
                "with a lower number, or to a backup: what was done since is not in these."
            )
        return version


def _steps() -> set[str]:
    return {step.name[:4] for step in (MIGRATIONS / "versions").glob("[0-9]*.py")}


def _newest() -> str:
    return max(_steps())


def _engine(path: Path) -> Engine:
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
        for pragma in _ON_CONNECT:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        statements = connection.get_execution_options()["begin"]
        driver = connection.connection.dbapi_connection
        assert driver is not None
        for statement in statements:
            if statements is _READ:
                driver.cursor().execute(statement)  # directly, since this runs on every request
            else:
                connection.exec_driver_sql(statement)

    return engine


def _code(error: exc.DatabaseError) -> int:
    """Return the primary result code of SQLite."""
    return int(getattr(error.orig, "sqlite_errorcode", 0)) & 0xFF


def _changes(connection: Connection) -> int:
    """Return how many rows this connection has changed since it was opened."""
    driver = connection.connection.dbapi_connection
    assert driver is not None
    changes: int = driver.total_changes
    return changes


def _ignore_mark(_mark: int) -> None:
    """Ignore the mark of a database without a data directory."""


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return version


def _upgrade(connection: Connection) -> None:
    # only migrations need alembic, which takes long to import
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    command.upgrade(config, "head")
