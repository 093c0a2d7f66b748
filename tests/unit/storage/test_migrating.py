"""An old database is copied before it is brought up to date, and never left in between."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from blemish.domain.line_notes import LineNotes
from blemish.storage.database.database import Database
from blemish.storage.database.migrating import MIGRATIONS
from blemish.storage.errors import DatabaseError, DatabaseWriteError
from tests.unit.manifests import json_line, label_fields, masked_line
from tests.unit.storage.samples import make_old_database, python

NEWEST = max(step.name[:4] for step in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def ask(path: Path, question: str) -> Any:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question).fetchone()[0]


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database of the first schema, with a project."""
    path = tmp_path / "blemish.db"
    make_old_database(path, version="0001")
    change(path, "INSERT INTO projects (name, created_at) VALUES ('kept', '2024-05-01 12:00:00')")
    return path


def test_the_copy_is_what_was_there_and_for_its_owner_alone(old: Path) -> None:
    with capture_logs() as logs:
        Database.open(old).close()

    copy = old.with_name(f"blemish.db.before-{NEWEST}")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert ask(copy, "SELECT version_num FROM alembic_version") == "0001"
    assert ask(copy, "SELECT name FROM projects") == "kept"
    assert ask(old, "SELECT version_num FROM alembic_version") == NEWEST
    assert [(log["event"], log["copy"]) for log in logs] == [("database copied", str(copy))]
    assert sorted(path.name for path in old.parent.iterdir()) == [old.name, copy.name]


def test_no_secret_stands_in_the_copy_as_it_is(old: Path) -> None:
    for name, secret in (("first", "hush-hush"), ("sealed", "1:key:hidden")):
        change(
            old,
            "INSERT INTO access_keys (id, secret, name, created_at) "
            f"VALUES ('{name}', '{secret}', '{name}', '2024-05-01 12:00:00')",
        )

    Database.open(old).close()

    copy = old.with_name(f"blemish.db.before-{NEWEST}")
    assert b"hush-hush" not in copy.read_bytes()
    assert ask(copy, "SELECT group_concat(name) FROM access_keys") == "sealed"
    assert ask(old, "SELECT count(*) FROM access_keys") == 2


def test_no_copy_is_made_of_what_is_new_or_up_to_date(tmp_path: Path) -> None:
    Database.open(tmp_path / "blemish.db").close()
    Database.open(tmp_path / "blemish.db").close()

    assert [path.name for path in tmp_path.iterdir()] == ["blemish.db"]


def test_a_step_that_fails_leaves_the_database_and_names_the_copy(old: Path) -> None:
    change(old, "CREATE TABLE uploads (taken TEXT)")

    with pytest.raises(DatabaseError, match=r"uploads already exists.*a copy of it is") as caught:
        Database.open(old)

    assert f"{old}.before-{NEWEST}" in str(caught.value)
    assert ask(old, "SELECT version_num FROM alembic_version") == "0001"
    assert ask(old, "SELECT count(*) FROM sqlite_master WHERE name = 'object_metadata'") == 0
    change(old, "DROP TABLE uploads")
    Database.open(old).close()
    assert ask(old, "SELECT name FROM projects") == "kept"


def test_without_room_for_the_copy_nothing_is_changed(small_disk: Path, old: Path) -> None:
    full = small_disk / "blemish.db"
    change(old, "CREATE TABLE large AS SELECT randomblob(600000) AS data")
    full.write_bytes(old.read_bytes())
    (small_disk / "ballast").write_bytes(bytes(100_000))

    with pytest.raises(DatabaseWriteError, match=rf"{full}\.before-{NEWEST} cannot be written"):
        Database.open(full)

    assert ask(full, "SELECT version_num FROM alembic_version") == "0001"
    assert not list(small_disk.glob("*.before-*"))


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_one_who_is_killed_meanwhile_leaves_it_as_it_was_or_as_it_will_be(
    old: Path, delay_s: float
) -> None:
    change(old, "CREATE TABLE large AS SELECT randomblob(20000000) AS data")
    code = """
import sys
from pathlib import Path
from alembic import command
from blemish.storage.database.database import Database
print("now", flush=True)
Database.open(Path(sys.argv[1]))
"""
    with python(code, old) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        time.sleep(delay_s)

        process.kill()

    assert ask(old, "SELECT version_num FROM alembic_version") in {"0001", NEWEST}
    for copy in old.parent.glob(f"*.before-{NEWEST}"):
        assert ask(copy, "PRAGMA integrity_check") == "ok"
        assert ask(copy, "SELECT version_num FROM alembic_version") == "0001"
    Database.open(old).close()
    assert ask(old, "SELECT version_num FROM alembic_version") == NEWEST
    assert ask(old, "SELECT name FROM projects") == "kept"
    assert list(old.parent.glob("*.partial")) == []


@pytest.mark.parametrize(("positions", "last"), [((), 0), ((1, 2, 7), 7)])
def test_an_older_dataset_knows_where_its_last_entry_is(
    old: Path, positions: tuple[int, ...], last: int
) -> None:
    change(
        old,
        "INSERT INTO datasets (project_id, type, status, status_message, created_at, updated_at) "
        "VALUES (1, 'train', 'CREATE_COMPLETE', '', '2024-05-01', '2024-05-01')",
    )
    for position in positions:
        change(
            old,
            "INSERT INTO entries (dataset_id, position, created_at, source_ref, line) "
            f"VALUES (1, {position}, '2024-05-01', 's3://images/{position}', '')",
        )

    Database.open(old).close()

    assert ask(old, "SELECT last_position FROM datasets") == last


def old_entries(path: Path, lines: list[str], *, label: str | None) -> None:
    """Put lines into the dataset of an old database, with the label that was read from them."""
    change(
        path,
        "INSERT INTO datasets (project_id, type, status, status_message, created_at, updated_at) "
        "VALUES (1, 'train', 'CREATE_COMPLETE', '', '2024-05-01', '2024-05-01')",
    )
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO entries (dataset_id, position, label, created_at, source_ref, line) "
            "VALUES (1, ?, ?, '2024-05-01 00:00:00.000000', ?, ?)",
            [
                (number, label, f"s3://images/{number}", line)
                for number, line in enumerate(lines, 1)
            ],
        )


def test_older_entries_are_read_again_in_batches(old: Path) -> None:
    masked = masked_line("a.png", "scratch", "dent")
    plain = json_line("b.png", "anomaly")
    two_labels = json_line(
        "c.png", "anomaly", **label_fields("normal", attribute="second", date="2025-01-01")
    )
    lines = [masked, plain, two_labels] * 700
    old_entries(old, lines, label="anomaly")

    database = Database.open(old)

    with database.reading() as rows:
        assert list(rows.entries.lines(1)) == lines
        assert rows.entries.anomaly_types(1) == {"scratch", "dent"}
        assert rows.entries.notes(1) == [(LineNotes(replaced_fields=1), 700)]
        stats = rows.entries.stats(1)
        parsed = list(rows.entries.stream(1))
    assert (stats.anomaly, stats.normal) == (1_400, 700)
    assert [entry.label for entry in parsed[:3]] == ["anomaly", "anomaly", "normal"]
    assert ask(old, "SELECT min(created_at) FROM entries WHERE label = 'normal'") == (
        "2025-01-01 00:00:00.000000"
    )
    assert ask(old, "SELECT max(created_at) FROM entries WHERE label = 'anomaly'") < "2024-06"
    database.close()


def test_an_older_line_that_this_version_refuses_stays_as_it_is(old: Path) -> None:
    old_entries(old, ["no JSON"], label="normal")

    Database.open(old).close()

    assert ask(old, "SELECT line FROM entries") == "no JSON"
    assert ask(old, "SELECT label FROM entries") == "normal"


def test_older_entries_are_read_in_bounded_memory(old: Path) -> None:
    """In less than all lines take, which are as long as they may be."""
    line = json_line("a.png", "normal", note="x" * 8_000)[:8_192]
    old_entries(old, [line] * 12_000, label="normal")
    code = """
import resource, sys
from pathlib import Path
from blemish.storage.database.database import Database
import alembic.command, blemish.domain.manifest
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
Database.open(Path(sys.argv[1])).close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used)
"""

    said, _ = python(code, old).communicate()

    assert int(said.splitlines()[-1]) < 64 * 1024
