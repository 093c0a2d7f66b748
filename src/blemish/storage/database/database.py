"""The database: opening and migrating it, and transactions.

Only `sqlite` and `postgresql` know their databases; the rest of the SQL is portable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import exc

from blemish.storage.database.addresses import DatabaseAddress
from blemish.storage.database.engines import DatabaseEngine
from blemish.storage.database.migrating import migrate, newest_schema, schema_of
from blemish.storage.database.outage_log import OutageLog
from blemish.storage.database.row_copies import copy_rows
from blemish.storage.database.sqlite import SqliteEngine
from blemish.storage.errors import DatabaseError, DatabaseUnavailableError
from blemish.storage.rows.all_rows import Rows


class Database:
    """Opens transactions for any number of threads."""

    def __init__(self, engine: DatabaseEngine) -> None:
        self._engine = engine
        self._outages = OutageLog(monotonic=time.monotonic)
        #: whether a transaction of this process holds the lock of writers
        self._writes_now = False
        self._report_mark: Callable[[int], None] = _ignore_mark

    @classmethod
    def open(cls, address: DatabaseAddress) -> Database:
        """Open a database; create it (a file has mode 0600) or migrate it if needed.

        Before a migration, a file is copied to its own name plus `.before-` and the new version.

        Raises:
            SchemaTooNewError: a later version of Blemish wrote it.
            DatabaseError: it is no database, cannot be read or written, or cannot be migrated.
        """
        engine = engine_of(address)
        with _closed_on_error(engine, "opened"):
            engine.create()
            migrate(engine)
        return cls(engine)

    @classmethod
    def open_current(cls, address: DatabaseAddress) -> Database:
        """Open an existing database of this version; neither create nor migrate it.

        Raises:
            SchemaTooNewError: a later version of Blemish wrote it.
            DatabaseError: it does not exist, an earlier version wrote it, or it cannot be read.
        """
        engine = engine_of(address)
        with _closed_on_error(engine, "read"):
            version = schema_of(engine) if engine.exists() else None
            if version is None:
                raise DatabaseError(f"There is no database {address}.")
            if version != newest_schema():
                raise DatabaseError(
                    f"{address} was written by an earlier version of Blemish: its schema is "
                    f"{version}, and not {newest_schema()}. Start the server once, which brings "
                    "it up to date; or use the version that wrote it."
                )
        return cls(engine)

    @classmethod
    def check(cls, address: DatabaseAddress) -> None:
        """Check that a database is intact, and of a version that this one can use or migrate.

        Raises:
            SchemaTooNewError: a later version of Blemish wrote it.
            DatabaseError: it is no database, or is damaged.
        """
        engine = engine_of(address)
        with _closed_on_error(engine, "read"):
            schema_of(engine)
            damage = engine.damage()
        engine.close()
        if damage:
            raise DatabaseError(f"{address} is damaged ({damage}).")

    @property
    def version(self) -> str:
        """Name and version of the database software."""
        return self._engine.version

    @contextmanager
    def writing(self) -> Iterator[Rows]:
        """Begin the only write transaction; commit at the end, roll back on an exception.

        Raises:
            DatabaseWriteError: nothing can be written for now, for example on a full disk.
            DatabaseUnavailableError: the server of the database does not answer for now.
        """
        with self._explained(is_writing=True):
            with self._engine.writing() as connection:
                count_mark = self._engine.mark_counter(connection)
                self._writes_now = True
                try:
                    yield Rows(connection)
                finally:
                    self._writes_now = False
                mark = count_mark()
            if mark is not None:
                self._report_mark(mark)

    @contextmanager
    def reading(self) -> Iterator[Rows]:
        """Begin a read transaction, which sees one snapshot of the rows.

        Raises:
            DatabaseReadError: the database cannot be read for now.
            DatabaseUnavailableError: the server of the database does not answer for now.
        """
        with self._explained(is_writing=False), self._engine.reading() as connection:
            yield Rows(connection)

    @contextmanager
    def looking_up(self) -> Iterator[Rows]:
        """Allow one statement that reads, which is quicker than a transaction.

        Raises:
            DatabaseReadError: the database cannot be read for now.
            DatabaseUnavailableError: the server of the database does not answer for now.
        """
        with self._explained(is_writing=False), self._engine.looking_up() as connection:
            yield Rows(connection)

    @contextmanager
    def renewing(self) -> Iterator[Rows]:
        """Begin a transaction of statements that are each right by themselves, as renewals are.

        In PostgreSQL it waits for no other writer, and moves no mark.

        Raises:
            DatabaseWriteError: nothing can be written for now, for example on a full disk.
            DatabaseUnavailableError: the server of the database does not answer for now.
        """
        if isinstance(self._engine.address, Path):
            with self.writing() as rows:
                yield rows
            return
        with self._explained(is_writing=True), self._engine.writing(alone=False) as connection:
            yield Rows(connection)

    def copy_to(self, target: Path) -> None:
        """Copy the rows as of the last commit into a new file of SQLite (mode 0600, synced).

        Raises:
            DatabaseWriteError: the copy cannot be written.
            DatabaseError: the database cannot be read.
        """
        self._engine.copy_to(target)

    @contextmanager
    def copied_from(self, source: Database) -> Iterator[None]:
        """Replace the rows by those of another database, at the end of the context.

        Raises:
            DatabaseWriteError: nothing can be written for now.
        """
        with (
            self._explained(is_writing=True),
            source._engine.reading() as rows,
            self._engine.writing(hurried=False) as connection,
        ):
            copy_rows(rows, connection)
            yield

    def size_bytes(self) -> int:
        """Return the size of the database."""
        return self._engine.size_bytes()

    def shorten_log(self, max_bytes: int) -> bool:
        """Write the write-ahead log back if it is larger; return False if that was not possible."""
        return self._engine.shorten_log(max_bytes)

    def write_problem(self) -> str | None:
        """Return why nothing can be written now; None if it can, or we are writing."""
        return self._engine.write_problem(is_writing=self._writes_now)

    def report_marks(self, report: Callable[[int], None]) -> None:
        """Call `report` with the mark of the database after each commit that changed rows."""
        self._report_mark = report

    def close(self) -> None:
        """Close every connection. No transaction may be open."""
        self._engine.close()

    @contextmanager
    def _explained(self, *, is_writing: bool) -> Iterator[None]:
        kind = "writing" if is_writing else "reading"
        was_away = self._outages.fails(kind)  # one that began before an outage does not end it
        try:
            yield
        except exc.SQLAlchemyError as error:
            explained = self._engine.explained(error, is_writing=is_writing)
            if explained is None:
                raise
            if isinstance(explained, DatabaseUnavailableError):
                self._outages.note_failure(kind, explained)
            raise explained from error
        if was_away:
            self._outages.note_success(kind)


def engine_of(address: DatabaseAddress) -> DatabaseEngine:
    """Return the engine of a database, which connects on first use.

    Raises:
        DatabaseError: what PostgreSQL needs is not installed.
    """
    if isinstance(address, Path):
        return SqliteEngine(address)
    try:  # here, since one machine pays nothing for PostgreSQL
        from blemish.storage.database.postgresql import PostgresqlEngine  # noqa: PLC0415
    except ImportError as error:
        raise DatabaseError(
            f"BLEMISH_DATABASE_URL names {address}, and the driver of PostgreSQL is not installed "
            f"({error}). Install it: pip install 'blemish[postgresql]'"
        ) from error
    return PostgresqlEngine(address)


@contextmanager
def rows_copied_from(file: Path, address: DatabaseAddress) -> Iterator[None]:
    """Copy the rows of a file of SQLite, of any version, into a new database.

    The file is brought to this version first. The rows are committed at the end of the context.

    Raises:
        DatabaseError: the database cannot be reached or written.
    """
    with (
        closing(Database.open(file)) as source,
        closing(Database.open(address)) as target,
        target.copied_from(source),
    ):
        yield


@contextmanager
def _closed_on_error(engine: DatabaseEngine, what: str) -> Iterator[None]:
    """Close an engine if it cannot be used, and say why in one sentence."""
    try:
        yield
    except (OSError, exc.DBAPIError) as error:
        engine.close()
        reason = str(error.strerror if isinstance(error, OSError) else error.orig)
        raise DatabaseError(
            f"{engine.address} cannot be {what} as a database ({' '.join(reason.split())})."
        ) from error
    except BaseException:
        engine.close()
        raise


def _ignore_mark(_mark: int) -> None:
    """Ignore the mark of a database without a data directory."""
