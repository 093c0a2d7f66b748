"""What docs/guide/upgrading.md says of data formats."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from blemish.storage.database.database import Database
from blemish.storage.database.migrating import MIGRATIONS
from tests.unit.storage.samples import make_old_database

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "upgrading.md"
FORMATS = sorted(step.name[:4] for step in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def test_every_data_format_has_a_row_and_the_newest_names_the_copy() -> None:
    text = GUIDE.read_text()

    assert re.findall(r"^\| (\d{4}) \|", text, flags=re.MULTILINE) == FORMATS
    assert set(re.findall(r"blemish\.db\.before-(\d+)", text)) == {FORMATS[-1]}


@pytest.mark.slow
@pytest.mark.parametrize("data_format", FORMATS[:-1])
def test_a_database_of_every_format_becomes_one_of_the_newest(
    tmp_path: Path, data_format: str
) -> None:
    path = tmp_path / "blemish.db"
    make_old_database(path, version=data_format)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO projects (name, created_at) VALUES ('plates', '2024-05-01 12:00:00')"
        )

    Database.open(path).close()

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            (FORMATS[-1],)
        ]
        assert connection.execute("SELECT name FROM projects").fetchall() == [("plates",)]
    assert path.with_name(f"blemish.db.before-{FORMATS[-1]}").is_file()
