"""The identity of a data directory: which database belongs to it, and how new that must be.

DIR/identity has two lines: the id that the database has too, and the mark. The mark counts the
changes of the database. It is written after each commit and not synced, so it may lag behind the
database after a power cut, but never runs ahead of it. A database with a lower mark is older than
the directory. Servers that share a database of PostgreSQL and their files have the same id.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import DatabaseAddress
from blemish.storage.database.database import Database, engine_of
from blemish.storage.database.engines import DatabaseSummary
from blemish.storage.errors import DatabaseError, ForeignDatabaseError
from blemish.storage.files import write_durably

logger: FilteringBoundLogger = structlog.get_logger(__name__)

ADOPT = "adopt\n"
"""Content of the file while the next start shall accept the database as it is."""

MARK_DIGITS = 20


@dataclass(frozen=True)
class _Identity:
    id: str
    mark: int


class DirectoryIdentity:
    """Checks that a database belongs to its directory, and marks the directory."""

    def __init__(
        self,
        directory: DataDirectory,
        *,
        database: DatabaseAddress | None = None,
        is_shared: bool = False,
    ) -> None:
        self._directory = directory
        #: whether other directories may have the database, since the files of its rows are in an S3
        self._is_shared = is_shared
        #: the database to look at, which may be a copy of the file
        self._address = database or directory.database
        #: the database to name
        self._database = directory.database if isinstance(self._address, Path) else self._address
        self._path = directory.identity

    @property
    def is_new(self) -> bool:
        """Whether no server has run on this directory."""
        return not self._text()

    @property
    def adopts(self) -> bool:
        """Whether this start accepts the database as it is."""
        return self._text() == ADOPT

    def check(self) -> None:
        """Check the database before it is opened; nothing is changed.

        Raises:
            ForeignDatabaseError: it is missing, empty, older than the directory, or of another one.
        """
        text = self._text()
        identity = _parsed(text)
        summary = self._summary()
        root, database = self._directory.root, self._database
        if summary is None:
            if text or self._holds_data():
                is_missing = isinstance(database, Path) and not database.exists()
                state = "is missing" if is_missing else "is empty"
                raise ForeignDatabaseError(
                    f"{database} {state}, but {root} holds data of a server. {self._remedy(False)}"
                )
        elif text == ADOPT:
            return
        elif identity is None and isinstance(database, Path):
            self._check_known(summary)
        elif identity is None:
            self._check_unmarked(summary)
        elif summary.directory_id is None and summary.mark is None:
            raise ForeignDatabaseError(
                f"{database} is older than {root}: it does not know the directory's identity. "
                f"{self._remedy(True)}"
            )
        elif summary.directory_id != identity.id:
            raise ForeignDatabaseError(
                f"{database} belongs to another data directory than {root}. {self._remedy(True)}"
            )
        elif (summary.mark or 0) < identity.mark:
            raise ForeignDatabaseError(
                f"{database} is older than {root}: it has {summary.mark} changes, and the "
                f"directory had {identity.mark}. {self._log_left_behind()}{self._remedy(True)}"
            )

    def settle(self, database: Database, *, new_id: str) -> None:
        """Give directory and database the same identity, and mark every later commit.

        Raises:
            StoreWriteError: the directory cannot be written.
        """
        identity = _parsed(self._text())
        with database.writing() as rows:
            directory_id = rows.directory.id() if identity or self._is_shared else None
            if directory_id is None:
                rows.directory.set_id(new_id)
        with database.reading() as rows:
            settled = _Identity(rows.directory.id() or new_id, rows.directory.mark())
        if identity is None:
            text = f"{settled.id}\n{settled.mark:0{MARK_DIGITS}d}\n"
            write_durably(self._path, text.encode(), staging=self._directory.staging)
            logger.info("data directory marked", id=settled.id)
        database.report_marks(self._marker(settled))

    def adopt(self) -> None:
        """Let the next start accept the database as it is.

        Raises:
            DatabaseError: there is no database, or it cannot be read.
            StoreWriteError: the directory cannot be written.
        """
        if self._summary() is None:
            raise DatabaseError(f"{self._database} is missing or empty. {self._remedy(False)}")
        write_durably(self._path, ADOPT.encode(), staging=self._directory.staging)

    def _marker(self, settled: _Identity) -> Callable[[int], None]:
        """Return a function that writes a mark over the former one, if it is higher."""
        position = len(settled.id) + 1
        highest = settled.mark

        def write(mark: int) -> None:
            nonlocal highest
            if mark <= highest:
                return
            highest = mark
            with suppress(OSError):  # a directory that cannot be written is reported elsewhere
                file = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
                try:
                    os.pwrite(file, f"{mark:0{MARK_DIGITS}d}".encode(), position)
                finally:
                    os.close(file)

        write(settled.mark)
        return write

    def _check_known(self, summary: DatabaseSummary) -> None:
        """Accept the database of a directory without a mark if it knows the files."""
        stored = _names(self._directory.stored_files) or _names(self._directory.bundles)
        if stored and not stored & summary.files:
            raise ForeignDatabaseError(
                f"{self._database} names none of the models in {self._directory.root}. "
                f"{self._remedy(True)}"
            )

    def _check_unmarked(self, summary: DatabaseSummary) -> None:
        """Accept a database outside of a new directory if no other one has it, or they share files.

        Else the files of its models are in the directory that it belongs to.
        """
        if summary.directory_id is not None and not self._is_shared:
            raise ForeignDatabaseError(
                f"{self._database} belongs to another data directory than "
                f"{self._directory.root}, which is new. Several servers on one database need "
                f"BLEMISH_FILES_URL, all of them the same. {self._remedy(True)}"
            )

    def _log_left_behind(self) -> str:
        if not isinstance(self._database, Path):
            return ""
        return (
            f"If {self._database.name}-wal was left behind when the database was copied, put it "
            "back too. "
        )

    def _summary(self) -> DatabaseSummary | None:
        """Return what identifies the database; None if it is missing or empty."""
        engine = engine_of(self._address)
        try:
            return engine.summary()
        finally:
            engine.close()

    def _text(self) -> str:
        try:
            return self._path.read_text()
        except FileNotFoundError:
            return ""

    def _holds_data(self) -> bool:
        directory = self._directory
        folders = (directory.bundles, directory.stored_files, directory.uploads, directory.audit)
        return any(map(_names, folders))

    def _remedy(self, has_database: bool) -> str:
        root = self._directory.root
        other = (
            f"to use this database as it is, run `blemish adopt --data-dir {root}`: files that it "
            "does not name are moved aside and deleted after seven days; "
            if has_database
            else ""
        )
        return (
            "Nothing was changed. Check that its disk is mounted, or put the database back; "
            "or restore a backup into an empty folder with `blemish restore`; "
            f"{other}to begin anew, start the server with an empty folder as --data-dir."
        )


def _parsed(text: str) -> _Identity | None:
    directory_id, _, mark = text.strip().partition("\n")
    return _Identity(directory_id, int(mark)) if mark.isdecimal() else None


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()
