"""A data directory refuses databases that are not its own, or too old."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.database import Database
from blemish.storage.directory_identity import DirectoryIdentity
from blemish.storage.errors import DatabaseError, ForeignDatabaseError
from tests.unit.storage.samples import add_model, add_project, make_old_database


class Directory:
    """A data directory with a model."""

    def __init__(self, root: Path, empty_database: Path) -> None:
        self.directory = DataDirectory(root)
        self.directory.create()
        self.identity = DirectoryIdentity(self.directory)
        shutil.copy(empty_database, self.directory.database)
        with closing(Database.open(self.directory.database)) as database:
            with database.writing() as rows:
                model = add_model(rows, add_project(rows))
            (self.directory.stored_files / model.entries).write_text("entries")

    def start(self, new_id: str = "a1") -> Database:
        """Open the database as a server does."""
        self.identity.check()
        database = Database.open(self.directory.database)
        self.identity.settle(database, new_id=new_id)
        return database

    def change(self, *names: str) -> None:
        """Run a server that adds projects."""
        with closing(self.start()) as database:
            for name in names:
                with database.writing() as rows:
                    add_project(rows, name)

    def ids(self) -> tuple[str, str | None]:
        """Return the identity of the folder and that of the database."""
        with closing(sqlite3.connect(self.directory.database)) as connection:
            ((of_database,),) = connection.execute("SELECT id FROM directory")
        return self.directory.identity.read_text().split()[0], of_database


@pytest.fixture
def made(folder: Path, empty_database: Path) -> Directory:
    return Directory(folder / "data", empty_database)


def files(directory: DataDirectory) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory.root)): path.read_bytes()
        for path in sorted(directory.root.rglob("*"))
        if path.is_file()
    }


def test_a_directory_of_an_older_version_is_marked_once(made: Directory) -> None:
    made.start("a1").close()
    made.start("b2").close()

    assert made.ids() == ("a1", "a1")


def test_a_missing_or_an_empty_database_is_refused_and_nothing_changed(made: Directory) -> None:
    made.change("plates")
    made.directory.database.rename(made.directory.root / "moved.db")
    before = files(made.directory)

    with pytest.raises(ForeignDatabaseError, match=r"blemish\.db is missing, but"):
        made.identity.check()
    with pytest.raises(DatabaseError, match="is missing or empty"):
        made.identity.adopt()
    assert files(made.directory) == before
    made.directory.database.touch()

    with pytest.raises(ForeignDatabaseError, match=r"blemish\.db is empty, but"):
        made.identity.check()


def test_bundles_without_a_database_are_refused_also_without_a_mark(folder: Path) -> None:
    directory = DataDirectory(folder / "data")
    directory.create()
    DirectoryIdentity(directory).check()
    (directory.bundles / "1-1").mkdir()

    with pytest.raises(ForeignDatabaseError, match="is missing, but"):
        DirectoryIdentity(directory).check()


def test_the_database_of_another_directory_is_refused(
    made: Directory, folder: Path, empty_database: Path
) -> None:
    made.start("a1").close()
    other = Directory(folder / "other", empty_database)
    other.start("b2").close()
    shutil.copy(other.directory.database, made.directory.database)

    with pytest.raises(ForeignDatabaseError, match="belongs to another data directory"):
        made.identity.check()


def test_a_database_that_knows_none_of_the_files_is_not_taken_for_the_directorys_own(
    made: Directory, empty_database: Path
) -> None:
    shutil.copy(empty_database, made.directory.database)

    with pytest.raises(ForeignDatabaseError, match="names none of the models"):
        made.identity.check()


def test_a_database_from_before_the_last_change_is_refused(made: Directory) -> None:
    made.change("plates")
    older = made.directory.root.parent / "older.db"
    shutil.copy(made.directory.database, older)
    made.change("boards")
    shutil.copy(older, made.directory.database)

    with pytest.raises(ForeignDatabaseError, match=r"is older than .*blemish adopt"):
        made.identity.check()


def test_a_database_of_an_older_schema_is_refused_where_a_newer_one_was(made: Directory) -> None:
    made.change("plates")
    made.directory.database.unlink()
    make_old_database(made.directory.database, version="0002")

    with pytest.raises(ForeignDatabaseError, match="does not know the directory's identity"):
        made.identity.check()


def test_a_mark_that_lags_behind_is_no_reason_to_refuse(made: Directory) -> None:
    made.change("plates")
    older = made.directory.identity.read_text()
    made.change("boards")
    made.directory.identity.write_text(older)

    made.change("cables")


def test_an_adopted_database_is_accepted_once_and_gets_an_identity_of_its_own(
    made: Directory,
) -> None:
    made.change("plates")
    older = made.directory.root.parent / "older.db"
    shutil.copy(made.directory.database, older)
    made.change("boards")
    shutil.copy(older, made.directory.database)

    made.identity.adopt()
    made.start("c3").close()

    assert made.ids() == ("c3", "c3")
    made.change("cables")


def test_a_transaction_that_changes_nothing_moves_no_mark(made: Directory) -> None:
    with closing(made.start()) as database:
        before = made.directory.identity.read_text()
        with database.writing() as rows:
            rows.projects.count()
        unchanged = made.directory.identity.read_text()
        with database.writing() as rows:
            add_project(rows, "plates")
        changed = made.directory.identity.read_text()

    assert unchanged == before
    assert int(changed.split()[1]) == int(before.split()[1]) + 1
