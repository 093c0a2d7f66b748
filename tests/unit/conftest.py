"""What unit tests share: the services over a data directory of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from blemish.storage.database.addresses import PostgresqlAddress
    from tests.postgresql_server import PostgresqlServer
    from tests.unit.house import House

DATABASE_VARIABLE = "BLEMISH_TEST_DATABASE"
"""Names the database of all tests that use one: `postgresql`, or SQLite by default."""

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without rows, to be copied: making one takes longer than most tests."""
    from blemish.storage.database.database import Database  # noqa: PLC0415 - not for tests that need none

    path = tmp_path_factory.mktemp("database") / "blemish.db"
    Database.open(path).close()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: to wait for a disk would prove nothing."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(prefix="blemish-", dir=MEMORY) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: PostgresqlServer) -> PostgresqlAddress:
    """A database of PostgreSQL with all tables, which tests use one after the other."""
    from tests.postgresql_server import migrated  # noqa: PLC0415 - it may be absent

    return migrated(postgresql_server, "blemish")


@pytest.fixture
def postgresql(migrated_postgresql: PostgresqlAddress) -> PostgresqlAddress:
    """A database of PostgreSQL without rows."""
    from tests.postgresql_server import empty  # noqa: PLC0415 - it may be absent

    empty(migrated_postgresql)
    return migrated_postgresql


@pytest.fixture
def other_database(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> PostgresqlAddress | None:
    """A database of PostgreSQL without rows, if the tests are to use it in place of SQLite."""
    if os.environ.get(DATABASE_VARIABLE) != "postgresql":
        return None
    from blemish.storage.database import postgresql  # noqa: PLC0415 - it may be absent

    # a test may be silent for longer on a busy machine
    monkeypatch.setattr(postgresql, "WRITER_SILENCE_S", 60)
    address: PostgresqlAddress = request.getfixturevalue("postgresql")
    return address


@pytest.fixture
def house(
    folder: Path, empty_database: Path, other_database: PostgresqlAddress | None
) -> Iterator[House]:
    """The services, over folders of their own."""
    from tests.unit.house import House  # noqa: PLC0415 - not for tests that need none

    root = folder / "data"
    root.mkdir()
    if other_database is None:
        shutil.copy(empty_database, root / "blemish.db")
    house = House(root, database=other_database)
    yield house
    house.database.close()


@pytest.fixture
def trainable(house: House) -> House:
    """The services, with a project that has just enough images in one dataset."""
    house.project()
    house.images(normal=15)
    return house


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
