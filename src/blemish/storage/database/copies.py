"""Copies of the database, written while it is in use, and reading them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from blemish.storage.database.engines import DatabaseSummary, summary_from_rows
from blemish.storage.errors import DatabaseError, DatabaseWriteError
from blemish.storage.files import make_own_file, sync_folder

_NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})


def copy_database(source: Path, target: Path) -> None:
    """Copy the database as of the last commit to a new file (mode 0600, synced).

    Until it is complete it is named `target` plus `.partial`. The copy has no deleted data, and no
    access keys with plain secrets: early versions had one such key, and read it from its file.

    Raises:
        DatabaseWriteError: the copy cannot be written, for example because the disk is full.
        DatabaseError: `source` cannot be read, or is damaged.
    """
    partial = target.with_name(f"{target.name}.partial")
    try:
        make_own_file(partial)
        with closing(sqlite3.connect(source, isolation_level=None)) as connection:
            connection.execute("VACUUM INTO ?", (str(partial),))
        with closing(sqlite3.connect(partial, isolation_level=None)) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("DELETE FROM access_keys WHERE secret NOT LIKE '%:%'")
        _sync(partial)
        partial.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DatabaseWriteError(f"{target} cannot be written ({error.strerror}).") from error
    except sqlite3.Error as error:
        partial.unlink(missing_ok=True)
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NO_ROOM:
            raise DatabaseWriteError(f"{target} cannot be written ({error}).") from error
        raise DatabaseError(f"{source} cannot be copied ({error}).") from error


def access_key_secrets(path: Path) -> dict[str, str]:
    """Return the sealed secrets of the access keys by name, of any version of the schema.

    Raises:
        DatabaseError: it cannot be read.
    """
    return dict(_ask(path, "SELECT name, secret FROM access_keys"))


def files_of_models(path: Path) -> dict[str, str]:
    """Return models (project/version) by the names of their bundles and frozen entries.

    Raises:
        DatabaseError: it cannot be read.
    """
    statement = (
        "SELECT name || '/' || version, bundle, entries FROM models "
        "JOIN projects ON projects.id = models.project_id"
    )
    rows = _ask(path, statement)
    return {file: model for model, *files in rows for file in files if file}


def database_summary(path: Path) -> DatabaseSummary | None:
    """Return what identifies a database; None if it has no tables.

    Raises:
        DatabaseError: it cannot be read.
    """
    tables = {name for (name,) in _ask(path, "SELECT name FROM sqlite_master")}
    return summary_from_rows(tables, lambda statement: _ask(path, statement))


def forget_identity(path: Path) -> None:
    """Remove the identity, and that of the default key, from a copy of any version."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        has_table = "SELECT 1 FROM sqlite_master WHERE name = 'directory'"
        if connection.execute(has_table).fetchone():
            connection.execute("UPDATE directory SET id = NULL")
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(directory)")]
        if "default_key" in columns:  # the copy may be restored without its keys
            connection.execute("UPDATE directory SET default_key = NULL")


def _ask(path: Path, statement: str) -> list[Any]:
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()
    except sqlite3.Error as error:
        raise DatabaseError(f"{path} cannot be read as a database ({error}).") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
