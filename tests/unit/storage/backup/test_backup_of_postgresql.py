"""A backup holds the same rows whatever the database is, and restores into either."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from blemish.domain.entities import Label
from blemish.storage.backup.backup import Backup
from blemish.storage.backup.restore import Restore
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import DatabaseAddress, PostgresqlAddress
from blemish.storage.database.database import Database
from blemish.storage.database.tables import METADATA
from blemish.storage.directory_identity import DirectoryIdentity
from blemish.storage.errors import BackupError, ForeignDatabaseError
from tests.postgresql_server import PostgresqlServer
from tests.unit.storage.directories import Served, ignored
from tests.unit.storage.samples import NOW, access_key, add_dataset, add_project, entry

OF_THE_DIRECTORY = ("id", "mark")


@pytest.fixture
def served_on_postgresql(folder: Path, postgresql: PostgresqlAddress) -> Iterator[Served]:
    served = Served(folder / "data", database=postgresql)
    served.add_model()
    served.delete_model(served.add_model())
    with served.database.writing() as rows:
        dataset = add_dataset(rows, add_project(rows, "Ünïcode"))
        entries = [entry(f"{number}.png", random.Random(0).choice([*Label])) for number in range(9)]
        rows.entries.put(dataset.id, entries, now=NOW)
        rows.keys.add(replace(access_key(), sealed_secret="key:sealed"))
    yield served
    served.database.close()


def written(served: Served, address: DatabaseAddress, archive: Path) -> Path:
    backup = Backup(served.directory, database=address, with_objects=True)
    backup.write(archive, version="1", now=NOW, progress=ignored)
    return archive


def restored_into(address: DatabaseAddress | None, archive: Path, root: Path) -> DataDirectory:
    directory = DataDirectory(root)
    run = Restore(archive, directory, database=address, progress=ignored)
    with run.started():
        run.carry_out(keys={})
    return directory


def all_rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table, but nothing of the identity."""
    with database._engine.reading() as connection:
        return {
            table.name: sorted(
                (
                    tuple(
                        value
                        for name, value in row.items()
                        if table.name != "directory" or name not in OF_THE_DIRECTORY
                    )
                    for row in connection.execute(select(table)).mappings()
                ),
                key=repr,
            )
            for table in METADATA.sorted_tables
        }


def test_rows_move_from_postgresql_to_a_file_and_back(
    served_on_postgresql: Served,
    postgresql: PostgresqlAddress,
    postgresql_server: PostgresqlServer,
    folder: Path,
) -> None:
    served = served_on_postgresql
    before = all_rows(served.database)

    archive = written(served, postgresql, folder / "1.tar")
    in_file = restored_into(None, archive, folder / "in-file")
    with closing(Database.open_current(in_file.database)) as database:
        in_between = all_rows(database)
    backup = Backup(in_file, with_objects=False)
    backup.write(folder / "2.tar", version="1", now=NOW, progress=ignored)
    other = postgresql_server.new_database("other")
    restored_into(other, folder / "2.tar", folder / "again")

    with closing(Database.open_current(other)) as database:
        after = all_rows(database)
        with database.writing() as rows:
            number = add_project(rows, "new").id
    assert before == in_between == after
    assert sum(map(len, after.values())) > 14
    assert number == 3


def test_a_database_that_is_not_empty_is_no_target_of_a_restore(
    served_on_postgresql: Served, postgresql: PostgresqlAddress, folder: Path
) -> None:
    archive = written(served_on_postgresql, postgresql, folder / "1.tar")

    with pytest.raises(
        BackupError, match=r"at .* is not empty\. A backup is restored into an empty"
    ):
        restored_into(postgresql, archive, folder / "again")

    assert not (folder / "again").exists()


def test_a_directory_and_its_database_of_postgresql_know_each_other(
    served_on_postgresql: Served, postgresql: PostgresqlAddress, folder: Path
) -> None:
    directory = served_on_postgresql.directory
    DirectoryIdentity(directory, database=postgresql).settle(
        served_on_postgresql.database, new_id="the-id"
    )
    other = DataDirectory(folder / "other")
    other.create()

    DirectoryIdentity(directory, database=postgresql).check()
    with pytest.raises(ForeignDatabaseError, match="belongs to another data directory than"):
        DirectoryIdentity(other, database=postgresql).check()
    shared = DirectoryIdentity(other, database=postgresql, is_shared=True)
    shared.check()
    shared.settle(served_on_postgresql.database, new_id="another-id")
    assert other.identity.read_text().split() == directory.identity.read_text().split()
    DirectoryIdentity(directory, database=postgresql).check()
    other.identity.unlink()
    with pytest.raises(ForeignDatabaseError, match=r"blemish\.db is missing, but"):
        DirectoryIdentity(directory).check()
    DirectoryIdentity(other, database=postgresql).adopt()
    DirectoryIdentity(other, database=postgresql).check()


def test_a_directory_refuses_an_older_database_of_postgresql(
    served_on_postgresql: Served, postgresql: PostgresqlAddress
) -> None:
    directory, database = served_on_postgresql.directory, served_on_postgresql.database
    DirectoryIdentity(directory, database=postgresql).settle(database, new_id="the-id")
    text = directory.identity.read_text()
    identity, mark = text.split()
    directory.identity.write_text(f"{identity}\n{int(mark) + 1:020d}\n")

    with pytest.raises(ForeignDatabaseError, match=r"is older than .*: it has \d+ changes"):
        DirectoryIdentity(directory, database=postgresql).check()
