"""Copies of all rows from one database into another, of whatever kinds the two are."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Integer, Table, delete, exc, func, insert, select, text

from blemish.storage.database.migrating import migrate
from blemish.storage.database.sqlite import SqliteEngine
from blemish.storage.database.tables import METADATA
from blemish.storage.errors import DatabaseWriteError
from blemish.storage.files import sync_folder

BATCH = 1_000
"""Rows that are copied at once."""


def copy_rows(source: Connection, target: Connection) -> None:
    """Replace the rows of a database by those of another; both have the newest schema.

    Numbers of rows that were deleted in the source are not used again in the target.
    """
    for table in reversed(METADATA.sorted_tables):
        target.execute(delete(table))
    for table in METADATA.sorted_tables:
        rows = source.execution_options(yield_per=BATCH).execute(select(table)).mappings()
        for batch in rows.partitions():
            target.execute(insert(table), [dict(row) for row in batch])
        if numbers_rows(table):
            _set_last_id(target, table, _last_id(source, table))


def numbers_rows(table: Table) -> bool:
    """Return whether the rows of a table are numbered by the database."""
    return "id" in table.c and isinstance(table.c.id.type, Integer)


def copy_rows_to_file(source: Connection, target: Path) -> None:
    """Copy all rows into a new file of SQLite (mode 0600, synced).

    Until it is complete it is named `target` plus `.partial`.

    Raises:
        DatabaseWriteError: it cannot be written, for example because the disk is full.
    """
    partial = target.with_name(f"{target.name}.partial")
    _remove(partial)
    engine = SqliteEngine(partial)
    try:
        engine.create()
        migrate(engine)
        with engine.writing() as connection:
            copy_rows(source, connection)
        engine.close()  # which writes the log back into the file
        partial.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise DatabaseWriteError(f"{target} cannot be written ({error.strerror}).") from error
    except exc.SQLAlchemyError as error:
        explained = engine.explained(error, is_writing=True)
        if explained is None:
            raise
        raise explained from error
    finally:
        engine.close()
        _remove(partial)


def _remove(path: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        path.with_name(f"{path.name}{ending}").unlink(missing_ok=True)


def _last_id(connection: Connection, table: Table) -> int:
    """Return the highest number that a row of a table ever had."""
    if connection.dialect.name == "sqlite":
        statement = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        last: int | None = connection.scalar(statement, {"name": table.name})
    else:
        called = f"SELECT CASE WHEN is_called THEN last_value END FROM {_sequence(table)}"  # noqa: S608 - ours
        last = connection.scalar(text(called))
    highest: int | None = connection.scalar(select(func.max(table.c.id)))
    return max(last or 0, highest or 0)


def _set_last_id(connection: Connection, table: Table, last: int) -> None:
    if connection.dialect.name == "sqlite":
        name = {"name": table.name}
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), name)
        statement = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)")
        connection.execute(statement, name | {"last": last})
    else:
        statement = text("SELECT setval(:sequence, greatest(:last, 1), :last > 0)")
        connection.execute(statement, {"sequence": _sequence(table), "last": last})


def _sequence(table: Table) -> str:
    return f"{table.name}_id_seq"
