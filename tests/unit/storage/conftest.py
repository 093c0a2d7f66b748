"""What the tests of storage share: an empty database, and an empty store with one bucket."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from blemish.storage.database.addresses import PostgresqlAddress
from blemish.storage.database.database import Database
from blemish.storage.objects.store import ObjectStore
from tests.unit.storage.directories import Served
from tests.unit.storage.samples import BUCKET


@pytest.fixture
def database(
    tmp_path: Path, empty_database: Path, other_database: PostgresqlAddress | None
) -> Iterator[Database]:
    path = tmp_path / "blemish.db"
    if other_database is None:
        shutil.copy(empty_database, path)
    database = Database.open(other_database or path)
    yield database
    database.close()


@pytest.fixture
def served(folder: Path) -> Iterator[Served]:
    served = Served(folder / "data")
    served.add_model()
    served.put_object("a/1.jpg", b"image")
    (served.directory.aws / "credentials").write_text("hush-hush")
    (served.directory.keyring / "key.json").write_text("hush-hush")
    yield served
    served.database.close()


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    root = tmp_path / "buckets"
    (root / BUCKET).mkdir(parents=True)
    return ObjectStore(root)
