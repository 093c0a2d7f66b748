"""What the two kinds of databases do in their own ways."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, exc

from blemish.storage.database.addresses import DatabaseAddress
from blemish.storage.errors import DatabaseError

BUSY_TIMEOUT_S = 60
"""How long a write waits for other writes."""

LOCK_PATIENCE_S = 1.0
"""How long a check waits for the lock before it calls the database locked."""


@dataclass(frozen=True, kw_only=True)
class DatabaseSummary:
    """What identifies a database, of any version of the schema."""

    #: of the data directory that it belongs to; None if it was never marked
    directory_id: str | None
    #: number of its changes; None if it is from before these were counted
    mark: int | None
    #: names of the stored files and bundles in its rows
    files: frozenset[str]


def summary_from_rows(
    tables: Collection[str], ask: Callable[[str], list[Any]]
) -> DatabaseSummary | None:
    """Return what identifies a database, of any version of the schema; None without our tables.

    Args:
        tables: names of its tables.
        ask: executes a statement and returns its rows.
    """
    if "alembic_version" not in tables:
        return None
    rows = ask("SELECT id, mark FROM directory") if "directory" in tables else []
    directory_id, mark = rows[0] if rows else (None, None)
    statements = ["SELECT bundle, entries FROM models", "SELECT changes FROM datasets"]
    if "detection_jobs" in tables:
        statements.append("SELECT images FROM detection_jobs")
    files = {name for statement in statements for row in ask(statement) for name in row if name}
    return DatabaseSummary(directory_id=directory_id, mark=mark, files=frozenset(files))


class DatabaseEngine(Protocol):
    """A database, and how its transactions begin."""

    @property
    def address(self) -> DatabaseAddress:
        """Where it is."""
        ...

    @property
    def version(self) -> str:
        """Name and version of the database software."""
        ...

    def create(self) -> None:
        """Create the database, if it is missing and that is ours to do.

        Raises:
            OSError: it cannot be created.
        """
        ...

    def exists(self) -> bool:
        """Return whether there is a database, even an empty one."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that sees one snapshot and cannot write."""
        ...

    def looking_up(self) -> AbstractContextManager[Connection]:
        """Allow one statement that reads."""
        ...

    def writing(
        self, *, hurried: bool = True, alone: bool = True
    ) -> AbstractContextManager[Connection]:
        """Begin a transaction that writes.

        Args:
            hurried: whether it ends when this process stops in the middle of it; a migration
                may take its time.
            alone: whether it is the only one that writes. That of SQLite always is.
        """
        ...

    def mark_counter(self, connection: Connection) -> Callable[[], int | None]:
        """Return a function that counts this transaction, and returns its mark.

        It returns None if nothing was changed since this call.
        """
        ...

    def explained(self, error: exc.SQLAlchemyError, *, is_writing: bool) -> DatabaseError | None:
        """Return the error that says what is wrong outside; None for a mistake of ours."""
        ...

    def save_copy(self, version: str) -> Path | None:
        """Copy the database before a migration to a version, if that is ours to do.

        Raises:
            DatabaseError: it cannot be copied.
        """
        ...

    def copy_to(self, target: Path) -> None:
        """Copy the rows as of the last commit into a new file of SQLite (mode 0600, synced).

        Raises:
            DatabaseWriteError: the copy cannot be written.
            DatabaseError: the database cannot be read.
        """
        ...

    def summary(self) -> DatabaseSummary | None:
        """Return what identifies the database, of any version; None if it has no tables.

        Raises:
            DatabaseError: it cannot be read.
        """
        ...

    def damage(self) -> str | None:
        """Return what is damaged in the database, as far as a quick look shows."""
        ...

    def size_bytes(self) -> int:
        """Return the size of the database."""
        ...

    def write_problem(self, *, is_writing: bool) -> str | None:
        """Return why nothing can be written now; None if it can, or this process writes."""
        ...

    def shorten_log(self, max_bytes: int) -> bool:
        """Shorten a log that is larger, where it is ours to do; False if that was not possible."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...
