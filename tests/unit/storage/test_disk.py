from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from blemish.storage.data_directory import DataDirectory
from blemish.storage.disk import LEAST_RESERVE_BYTES, Disk, copy_in_memory
from tests.acceptance.served import fill


@pytest.fixture
def directory(small_disk: Path) -> DataDirectory:
    directory = DataDirectory(small_disk / "data")
    directory.create()
    return directory


def test_the_reserve_is_given_back_when_the_disk_is_full_and_taken_again_later(
    directory: DataDirectory, small_disk: Path
) -> None:
    disk = Disk(directory)
    disk.take_reserve()
    size = directory.reserve.stat().st_size
    disk.make_room()
    untouched = directory.reserve.exists()
    fill(small_disk / "ballast")
    full = disk.free_bytes, disk.is_low, disk.write_problem()

    disk.make_room()
    free = disk.free_bytes
    disk.take_reserve()
    too_early = directory.reserve.exists()
    (small_disk / "ballast").unlink()
    disk.take_reserve()

    assert size == LEAST_RESERVE_BYTES
    assert untouched
    assert full == (0, True, f"{directory.root} cannot be written (No space left on device)")
    assert free >= size
    assert not too_early
    assert directory.reserve.stat().st_size == size


def test_a_disk_with_room_has_no_problem(directory: DataDirectory) -> None:
    disk = Disk(directory)

    assert disk.write_problem() is None
    assert not disk.is_low
    assert list(directory.staging.iterdir()) == []


def test_a_copy_in_memory_has_what_is_only_in_the_log_of_the_database(tmp_path: Path) -> None:
    database = tmp_path / "blemish.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("CREATE TABLE names (name)")
        connection.execute("INSERT INTO names VALUES ('plates')")

        with copy_in_memory(database) as copy, closing(sqlite3.connect(copy)) as copied:
            names = copied.execute("SELECT name FROM names").fetchall()

    assert names == [("plates",)]
    assert not copy.parent.exists()
