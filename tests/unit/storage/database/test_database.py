from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from blemish.storage.database.database import Database
from blemish.storage.database.migrating import MIGRATIONS
from blemish.storage.database.tables import METADATA
from blemish.storage.errors import DatabaseError, DatabaseWriteError, SchemaTooNewError
from blemish.storage.rows.all_rows import Rows
from tests.unit.storage.samples import (
    NOW,
    access_key,
    add_dataset,
    add_project,
    entry,
    make_old_database,
    python,
)


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Database]]:
    databases: list[Database] = []

    def open_(path: Path) -> Database:
        databases.append(Database.open(path))
        return databases[-1]

    yield open_
    for database in databases:
        database.close()


def names(database: Database) -> set[str]:
    with database.reading() as rows:
        return {project.name for project in rows.projects.page(before=None, limit=100)}


def test_a_new_database_is_for_its_owner_alone(
    tmp_path: Path, opened: Callable[[Path], Database]
) -> None:
    folder = tmp_path / "100% #1?"
    folder.mkdir()

    database = opened(folder / "blemish.db")

    with database.writing() as rows:
        add_project(rows)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == dict.fromkeys(("blemish.db", "blemish.db-shm", "blemish.db-wal"), 0o600)


@pytest.mark.sqlite
def test_migrations_make_the_tables_that_the_code_speaks_of(database: Database) -> None:
    with database._engine.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)

    assert differences == []


@pytest.mark.sqlite
def test_the_newest_migration_only_adds_so_that_an_older_server_goes_on(
    empty_database: Path, tmp_path: Path
) -> None:
    versions = sorted(step.name[:4] for step in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    make_old_database(tmp_path / "older.db", version=versions[-2])

    older = columns(create_engine(f"sqlite:///{tmp_path / 'older.db'}"))
    newer = columns(create_engine(f"sqlite:///{empty_database}"))

    for table, before in older.items():
        after = newer[table]
        assert {name: after.get(name) for name in before} == before
        for name in after.keys() - before.keys():  # an older server leaves it out
            kind, is_nullable, default = after[name]
            assert is_nullable or default is not None, (table, name, kind)


def columns(engine: Engine) -> dict[str, dict[str, tuple[str, bool, str | None]]]:
    """Return type, whether it may be null, and default of all columns by table and name."""
    with closing(engine.connect()) as connection:
        inspector = inspect(connection)
        found = {
            table: {
                column["name"]: (str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            }
            for table in inspector.get_table_names()
        }
    engine.dispose()
    return found


def test_a_file_that_is_up_to_date_opens_without_alembic_and_postgresql(
    empty_database: Path,
) -> None:
    code = """
import sys
from pathlib import Path
from blemish.storage.database.database import Database
Database.open(Path(sys.argv[1])).close()
print(sys.modules.keys() & {"alembic", "psycopg"})
"""

    said, _ = python(code, empty_database).communicate()

    assert said == "set()\n"


def test_a_database_of_a_later_version_is_refused(tmp_path: Path, empty_database: Path) -> None:
    path = tmp_path / "blemish.db"
    path.write_bytes(empty_database.read_bytes())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(SchemaTooNewError, match=r"later version of Blemish: its schema is 9999"):
        Database.open(path)


@pytest.mark.parametrize("content", [b"this is a text", b"SQLite format 3\0 but no more" * 99])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "blemish.db"
    path.write_bytes(content)

    with pytest.raises(DatabaseError, match="cannot be opened as a database"):
        Database.open(path)

    assert path.read_bytes() == content


def test_a_database_in_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="No such file or directory"):
        Database.open(tmp_path / "absent" / "blemish.db")


def test_an_exception_undoes_the_transaction(database: Database) -> None:
    with pytest.raises(IntegrityError), database.writing() as rows:
        add_project(rows, "twice"), add_project(rows, "twice")

    assert names(database) == set()


def test_what_reads_cannot_write(database: Database) -> None:
    for read in (database.reading, database.looking_up):
        refused = pytest.raises(DBAPIError, match=r"readonly|read-only transaction")
        with refused, read() as rows:
            add_project(rows)

    with database.writing() as rows:
        add_project(rows)
    assert names(database) == {"circuits"}


def test_a_reader_sees_one_state_while_others_write(database: Database) -> None:
    with database.reading() as reader:
        before = reader.projects.count()
        with database.writing() as writer:
            add_project(writer)
        during = reader.projects.count()

    assert (before, during) == (0, 0)
    assert names(database) == {"circuits"}


@pytest.mark.sqlite
def test_writers_of_many_threads_and_processes_wait_for_each_other(
    database: Database, tmp_path: Path
) -> None:
    code = """
import sys
from pathlib import Path
from blemish.storage.database.database import Database
from tests.unit.storage.samples import add_project
database = Database.open(Path(sys.argv[1]))
for i in range(20):
    with database.writing() as rows:
        count = rows.projects.count()
        add_project(rows, f"{count}-by-process")
"""

    def write(thread: int) -> None:
        for _ in range(20):
            with database.writing() as rows:
                count = rows.projects.count()
                add_project(rows, f"{count}-by-{thread}")

    other = python(code, tmp_path / "blemish.db")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    _, complaint = other.communicate()

    assert complaint == ""
    assert sorted(int(name.split("-")[0]) for name in names(database)) == list(range(100))


@pytest.mark.sqlite
def test_a_process_killed_in_a_transaction_changes_nothing(
    database: Database, tmp_path: Path
) -> None:
    code = """
import sys, time
from pathlib import Path
from blemish.storage.database.database import Database
from tests.unit.storage.samples import add_project
database = Database.open(Path(sys.argv[1]))
with database.writing() as rows:
    add_project(rows, "committed")
with database.writing() as rows:
    add_project(rows, "half")
    print("within", flush=True)
    time.sleep(60)
"""
    with python(code, tmp_path / "blemish.db") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "within\n"

        process.kill()

    assert names(database) == {"committed"}
    with database.writing() as rows:
        add_project(rows, "after")
    assert names(database) == {"committed", "after"}


def fill(rows: Rows) -> None:
    dataset = add_dataset(rows, add_project(rows, "half"))
    rows.entries.put(dataset.id, (entry(f"{i}", line="x" * 1000) for i in range(3000)), now=NOW)


def test_a_full_disk_undoes_the_transaction(
    small_disk: Path, empty_database: Path, opened: Callable[[Path], Database]
) -> None:
    path = small_disk / "blemish.db"
    path.write_bytes(empty_database.read_bytes())
    database = opened(path)
    with database.writing() as rows:
        add_project(rows, "before")

    with (
        pytest.raises(DatabaseWriteError, match=r"blemish\.db cannot be written"),
        database.writing() as rows,
    ):
        fill(rows)

    with database.writing() as rows:
        add_project(rows, "after")
    assert names(database) == {"before", "after"}


@pytest.mark.sqlite
def test_a_limit_on_file_sizes_undoes_the_transaction(database: Database, tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from blemish.storage.database.database import Database
from blemish.storage.errors import DatabaseError, DatabaseWriteError
from tests.unit.storage.database.test_database import fill
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
database = Database.open(Path(sys.argv[1]))
try:
    with database.writing() as rows:
        fill(rows)
except DatabaseWriteError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    Database.open(Path(sys.argv[2]))
except DatabaseError as error:
    print(error)
"""

    said, complaint = python(code, tmp_path / "blemish.db", tmp_path / "new.db").communicate()

    assert complaint == ""
    assert len(said.splitlines()) == 2
    assert "blemish.db cannot be written" in said
    assert "new.db cannot be opened as a database" in said
    assert names(database) == set()


def test_a_migration_that_was_interrupted_is_done_again(
    tmp_path: Path, opened: Callable[[Path], Database]
) -> None:
    code = """
import resource, sys
from pathlib import Path
from blemish.storage.database.database import Database
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
Database.open(Path(sys.argv[1]))
"""
    python(code, tmp_path / "new.db").communicate()

    database = opened(tmp_path / "new.db")

    assert names(database) == set()


def test_numbers_of_deleted_rows_are_not_used_again(database: Database) -> None:
    with database.writing() as rows:
        first = add_project(rows)
        rows.projects.delete(first.id)
        second = add_project(rows)

    assert second.id > first.id


def test_instants_come_back_in_utc_to_the_microsecond(database: Database) -> None:
    there = timezone(timedelta(hours=-7))
    instant = datetime(2024, 12, 31, 23, 59, 59, 999_999, tzinfo=there)

    with database.writing() as rows:
        rows.projects.add("circuits", created_at=instant)

    with database.reading() as rows:
        project = rows.projects.find("circuits")
    assert project is not None
    assert project.created_at.isoformat() == "2025-01-01T06:59:59.999999+00:00"


def test_an_instant_without_a_time_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="has no time zone"), database.writing() as rows:
        rows.projects.add("circuits", created_at=NOW.replace(tzinfo=None))


def test_keys_are_found_by_their_id(database: Database) -> None:
    key = access_key()
    with database.reading() as rows:
        assert not rows.keys.any()

    with database.writing() as rows:
        rows.keys.add(key)

    with database.reading() as rows:
        assert rows.keys.any()
        assert rows.keys.find("AKIA") == key
        assert rows.keys.find("akia") is None


def test_a_secret_is_in_no_log_and_no_error(
    tmp_path: Path, opened: Callable[[Path], Database], caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", "sqlalchemy.engine", "sqlalchemy.pool"):
        caplog.set_level(logging.DEBUG, logger=name)
    database = opened(tmp_path / "blemish.db")
    key = access_key()

    with database.writing() as rows:
        rows.keys.add(key)
    with pytest.raises(IntegrityError) as caught, database.writing() as rows:
        rows.keys.add(key)
    with database.reading() as rows:
        rows.keys.find("AKIA")

    assert "INSERT INTO access_keys" in caplog.text
    assert "the secret" not in caplog.text
    assert "the secret" not in str(caught.value)


def test_the_rows_that_others_refer_to_stay(database: Database) -> None:
    with database.writing() as rows:
        project = add_project(rows)
        add_dataset(rows, project)

    with pytest.raises(IntegrityError), database.writing() as rows:
        rows.projects.delete(project.id)


@pytest.mark.sqlite
def test_a_database_that_another_process_locks_is_a_problem_and_our_own_lock_is_none(
    database: Database, tmp_path: Path
) -> None:
    free = database.write_problem()
    with database.writing():
        ours = database.write_problem()
    with closing(sqlite3.connect(tmp_path / "blemish.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        locked = database.write_problem()

    assert free is None
    assert ours is None
    assert locked == f"{tmp_path / 'blemish.db'} is locked by another process"
