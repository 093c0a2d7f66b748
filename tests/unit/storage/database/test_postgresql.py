"""What is PostgreSQL's own. All other tests of rows run on it by `make test-postgresql`."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from string import ascii_lowercase

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, event, text

from blemish.domain.entities import MaskRef, ObjectRef
from blemish.domain.errors import ServiceQuotaExceededError
from blemish.domain.limits import OURS
from blemish.domain.line_notes import LineNotes
from blemish.storage.database.addresses import PostgresqlAddress
from blemish.storage.database.database import Database
from blemish.storage.database.tables import MAX_ID, METADATA
from blemish.storage.errors import DatabaseError, DatabaseUnavailableError, SchemaTooNewError
from blemish.storage.rows.uploads import Upload
from tests.postgresql_server import PostgresqlServer
from tests.unit.house import House
from tests.unit.storage.samples import (
    BUCKET,
    LEASE,
    NOW,
    access_key,
    add_dataset,
    add_model,
    add_project,
    entry,
    python,
)

WITHOUT_TEXTS = {"ix_entries_dataset_id_anomaly_types", "ix_entries_dataset_id_notes"}

Opened = Callable[[], Database]


@pytest.fixture
def opened(postgresql: PostgresqlAddress) -> Iterator[Opened]:
    """Opens the database once more, as another server does."""
    databases: list[Database] = []

    def open_() -> Database:
        databases.append(Database.open(postgresql))
        return databases[-1]

    yield open_
    for database in databases:
        database.close()


@pytest.fixture
def database(opened: Opened) -> Database:
    return opened()


def end_sessions(address: PostgresqlAddress) -> None:
    with psycopg.connect(address.url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def names(database: Database) -> list[str]:
    with database.reading() as rows:
        return [project.name for project in rows.projects.page(before=None, limit=100)]


def test_migrations_make_the_tables_that_the_code_speaks_of(database: Database) -> None:
    def counts(_: object, name: str | None, *__: object) -> bool:
        return name not in WITHOUT_TEXTS

    with database._engine.reading() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": counts})
        differences = compare_metadata(context, METADATA)
        types = connection.execute(
            text(
                "SELECT data_type, collation_name FROM information_schema.columns "
                "WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
            )
        )

    assert differences == []
    assert set(map(tuple, types)) == {
        ("text", "C"),
        ("bigint", None),
        ("boolean", None),
        ("double precision", None),
        ("json", None),
        ("timestamp with time zone", None),
    }


def test_of_many_requests_at_once_none_passes_a_quota(
    postgresql: PostgresqlAddress, folder: Path
) -> None:
    house = House(folder / "data", limits=replace(OURS, max_projects=5), database=postgresql)

    def create(number: int) -> bool:
        try:
            house.projects.create(f"project-{number}")
        except ServiceQuotaExceededError:
            return False
        return True

    with closing(house.database), ThreadPoolExecutor(12) as pool:
        created = list(pool.map(create, range(24)))

        assert created.count(True) == 5
        assert len(names(house.database)) == 5


def test_of_many_servers_at_once_one_gets_a_row(opened: Opened) -> None:
    servers = [opened() for _ in range(4)]
    with servers[0].writing() as rows:
        models = [add_model(rows, add_project(rows, name)) for name in ("a", "b", "c")]

    def claim(server: Database) -> list[int | None]:
        attempts = []
        for model in models:
            with server.writing() as rows:
                until = NOW + LEASE
                attempts.append(
                    rows.models.claim(model.id, owner="server", now=NOW, lease_until=until)
                )
        return attempts

    with ThreadPoolExecutor(4) as pool:
        attempts = list(pool.map(claim, servers))

    by_model = list(zip(*attempts, strict=True))
    assert [sorted(map(str, attempts)) for attempts in by_model] == [
        ["1", "None", "None", "None"]
    ] * 3


def test_renewals_wait_for_no_writer_and_leases_count_by_the_clock_of_the_database(
    database: Database, opened: Opened
) -> None:
    with database.writing() as rows:
        model = add_model(rows, add_project(rows))
        attempt = rows.models.claim(model.id, owner="server", now=NOW, lease_until=NOW)
    assert attempt == 1

    with opened().writing(), database.renewing() as rows:
        first = rows.work.time(NOW)
        assert rows.models.renew(model.id, attempt=1, lease_until=first + LEASE)
        second = rows.work.time(NOW)

    assert NOW < first < second
    with database.reading() as rows:
        assert rows.work.leased(second)["training"] == {model.id}
        assert rows.work.leased(second + 2 * LEASE)["training"] == set()


def test_numbers_have_64_bits(database: Database) -> None:
    with database.writing() as rows:
        project = add_project(rows)
        add_model(rows, project)

    with database.reading() as rows:
        assert len(rows.projects.page(before=None, limit=9)) == 1
        assert len(rows.models.page(project.id, before=MAX_ID, limit=9)) == 1
        assert rows.models.find(project.name, 9_999_999_999) is None


def test_keys_and_names_are_ordered_by_code_point(database: Database) -> None:
    keys = ["a", "B", "Z-1", "a b", "_", "é", "Ä", "z", "a/b", "A", "\U0001f600", "\uff5e"]
    with database.writing() as rows:
        for key in keys:
            rows.uploads.add(
                Upload(
                    id=key,
                    ref=ObjectRef(bucket=BUCKET, key=key),
                    headers={},
                    metadata={},
                    checksum_algorithm=None,
                    checksum_type=None,
                    created_at=NOW,
                )
            )

    with database.reading() as rows:
        page = rows.uploads.page(BUCKET, prefix="", after_key="Z", after_id="", limit=99)

    assert [upload.ref.key for upload in page] == sorted(key for key in keys if key > "Z")


def test_texts_may_be_longer_than_an_index_of_postgresql_holds(database: Database) -> None:
    draw = Random(0)
    types = ["".join(draw.choices(ascii_lowercase, k=500)) for _ in range(15)]
    colors = {f"#{number:06X}": name for number, name in enumerate(types)}
    mask = MaskRef(ref=ObjectRef(bucket=BUCKET, key="mask.png"), colors=colors)
    marked = replace(entry("1.png"), mask=mask)
    noted = replace(entry("2.png"), notes=LineNotes(unknown_classes=tuple(types)))

    with database.writing() as rows:
        dataset = add_dataset(rows, add_project(rows))
        rows.entries.put(dataset.id, [marked, noted], now=NOW)

    with database.reading() as rows:
        assert rows.entries.anomaly_types(dataset.id) == set(types)
        assert rows.entries.notes(dataset.id) == [(noted.notes, 1)]


def test_a_server_that_is_stopped_in_a_transaction_does_not_stop_the_others(
    database: Database, postgresql: PostgresqlAddress
) -> None:
    code = """
import sys, time
from blemish.storage.database.addresses import PostgresqlAddress
from blemish.storage.database.database import Database
from blemish.storage.errors import DatabaseUnavailableError
from tests.unit.storage.samples import add_project
database = Database.open(PostgresqlAddress(sys.argv[1]))
try:
    with database.writing() as rows:
        add_project(rows, "half")
        print("within", flush=True)
        sys.stdin.readline()
        add_project(rows, "late")
except DatabaseUnavailableError as error:
    print(error)
with database.writing() as rows:
    add_project(rows, "again")
"""
    with python(code, postgresql.url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "within\n"
        process.send_signal(signal.SIGSTOP)

        with database.writing() as rows:  # it waits for at most 60 s, and the other has 4
            add_project(rows, "ours")

        process.send_signal(signal.SIGCONT)
        said, complaint = process.communicate("\n")
    assert "cannot be written now" in said, complaint
    assert names(database) == ["again", "ours"]


def test_a_restart_of_postgresql_is_not_noticed(
    database: Database, postgresql: PostgresqlAddress
) -> None:
    with database.writing() as rows:
        add_project(rows, "before")
    assert names(database) == ["before"]

    end_sessions(postgresql)

    assert names(database) == ["before"]
    end_sessions(postgresql)
    with database.writing() as rows:
        add_project(rows, "after")
    assert names(database) == ["after", "before"]


def test_a_database_that_cannot_be_reached_is_a_problem_until_it_is_back(
    database: Database, postgresql: PostgresqlAddress, postgresql_server: PostgresqlServer
) -> None:
    with postgresql_server.refusing(postgresql):
        with pytest.raises(DatabaseUnavailableError, match="cannot be read now"):
            names(database)
        with pytest.raises(DatabaseUnavailableError, match="cannot be written now"):
            rename_nothing(database)
        problem = database.write_problem()
        with pytest.raises(DatabaseError, match="cannot be opened as a database"):
            Database.open(postgresql)

    assert "not currently accepting connections" in (problem or "")
    assert names(database) == []
    assert database.write_problem() is None


def test_a_transaction_that_loses_its_connection_changes_nothing(
    database: Database, postgresql: PostgresqlAddress
) -> None:
    def lose() -> None:
        with database.writing() as rows:
            add_project(rows, "half")
            end_sessions(postgresql)
            add_project(rows, "rest")

    with pytest.raises(DatabaseUnavailableError, match="cannot be written now"):
        lose()

    assert names(database) == []


def test_a_database_that_only_reads_is_a_problem(
    database: Database, postgresql: PostgresqlAddress, postgresql_server: PostgresqlServer
) -> None:
    admin = postgresql_server.address("postgres").url
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("ALTER DATABASE blemish SET default_transaction_read_only = on")
        end_sessions(postgresql)
        try:
            problem = database.write_problem()
            with pytest.raises(DatabaseUnavailableError, match="read-only transaction"):
                rename_nothing(database)
        finally:
            connection.execute("ALTER DATABASE blemish RESET default_transaction_read_only")
            end_sessions(postgresql)

    assert problem == f"{postgresql} takes no changes: it is a standby, or read-only"


def test_a_lock_of_another_server_is_a_problem_and_our_own_is_none(
    database: Database, opened: Opened
) -> None:
    other = opened()

    with other.writing():
        locked = database.write_problem()
        ours = other.write_problem()

    assert locked is not None
    assert locked.endswith("is locked by another server")
    assert ours is None


def test_a_later_schema_is_refused(postgresql: PostgresqlAddress) -> None:
    newest = "SELECT version_num FROM alembic_version"
    with psycopg.connect(postgresql.url, autocommit=True) as connection:
        version = connection.execute(newest).fetchone()
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        try:
            with pytest.raises(SchemaTooNewError, match="its schema is 9999"):
                Database.open(postgresql)
        finally:
            connection.execute("UPDATE alembic_version SET version_num = %s", version)


def test_a_database_that_cannot_hold_every_character_is_refused(
    postgresql_server: PostgresqlServer,
) -> None:
    address = postgresql_server.new_database("latin", "ENCODING 'LATIN1' LOCALE 'C'")

    with pytest.raises(DatabaseError, match="has the encoding LATIN1"):
        Database.open(address)


def test_a_user_who_may_not_create_tables_is_refused_while_there_are_none(
    postgresql_server: PostgresqlServer,
) -> None:
    own = postgresql_server.new_database("of_another")
    with psycopg.connect(own.url) as connection:
        connection.execute("REVOKE CREATE ON SCHEMA public FROM public")
        connection.execute("CREATE ROLE guest LOGIN")
    guest = PostgresqlAddress(own.url.replace("//blemish@", "//guest@"))

    with pytest.raises(DatabaseError, match=r"The user of .* may not create tables there"):
        Database.open(guest)
    Database.open(own).close()


def test_an_absent_driver_is_named() -> None:
    code = """
import sys
sys.modules["psycopg"] = None
from blemish.storage.database.addresses import PostgresqlAddress
from blemish.storage.database.database import Database
try:
    Database.open(PostgresqlAddress("postgresql://someone:hush@db.example.org/plant"))
except Exception as error:
    print(error)
"""

    said, _ = python(code).communicate()

    assert "pip install 'blemish[postgresql]'" in said
    assert "the PostgreSQL database 'plant' at db.example.org" in said
    assert "hush" not in said


def rename_nothing(database: Database) -> None:
    with database.writing() as rows:
        rows.keys.delete(access_key())


def test_what_one_statement_reads_needs_no_transaction_around_it(
    folder: Path, postgresql: PostgresqlAddress
) -> None:
    house = House(folder, database=postgresql)
    house.project()
    house.images(normal=20)
    house.trained()
    states: list[psycopg.pq.TransactionStatus] = []

    def note(_: Connection, cursor: psycopg.Cursor, *__: object) -> None:
        states.append(cursor.connection.info.transaction_status)

    event.listen(Engine, "after_cursor_execute", note)
    try:
        house.models.describe("circuits", "latest")
        house.projects.page(token=None)
    finally:
        event.remove(Engine, "after_cursor_execute", note)
        house.database.close()

    assert states == [psycopg.pq.TransactionStatus.IDLE] * 2
