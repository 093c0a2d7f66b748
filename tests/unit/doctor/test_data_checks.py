from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from blemish.doctor.data_checks import data_findings, disk_finding, file_system
from blemish.doctor.report import Finding, Level
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import PostgresqlAddress
from tests.unit.house import House

MOUNTS = "/dev/sda / ext4 rw 0 0\nserver:/data /srv/data nfs4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n"


def problems(
    directory: DataDirectory,
    *,
    later: timedelta = timedelta(0),
    database_url: str | None = None,
) -> list[str]:
    now = datetime.now(UTC) + later
    settings = Settings(database_url=SecretStr(database_url) if database_url else None)
    findings: list[Finding] = [
        *data_findings(settings, directory, now=now, mounts="/dev/sda / ext4 rw 0 0\n")
    ]
    return [finding.message for finding in findings if finding.level is Level.PROBLEM]


def test_a_directory_in_use_has_no_problem(house: House) -> None:
    assert problems(house.directory) == []


def test_a_database_of_postgresql_is_checked_before_the_first_start(
    tmp_path: Path, postgresql: PostgresqlAddress
) -> None:
    directory = DataDirectory(tmp_path / "new")
    wrong = postgresql.url.replace("/blemish?", "/another?")

    (message,) = problems(directory, database_url=wrong)

    assert "'another'" in message
    assert "does not exist" in message
    assert problems(directory, database_url=postgresql.url) == []
    assert not directory.root.exists()


def test_a_damaged_database_is_a_problem(house: House) -> None:
    house.directory.database.write_bytes(b"no database" * 100)

    (message,) = problems(house.directory)

    assert "cannot be read as a database" in message


def test_a_missing_keyring_is_a_problem(house: House) -> None:
    for path in house.directory.keyring.iterdir():
        path.unlink()

    (message,) = problems(house.directory)

    assert message == f"There is no key in {house.directory.keyring}."


def test_data_from_the_future_say_that_the_clock_is_wrong(house: House) -> None:
    (message,) = problems(house.directory, later=-timedelta(days=400))

    assert message.startswith("The database was last written at ")


def test_a_restore_that_was_cut_off_is_a_problem(house: House) -> None:
    house.directory.restoring.mkdir()

    (message,) = problems(house.directory)

    assert message == f"A restore into {house.directory.root} has not finished."


def test_a_file_is_no_data_directory(tmp_path: Path) -> None:
    (tmp_path / "data").touch()

    assert problems(DataDirectory(tmp_path / "data")) == [f"{tmp_path / 'data'} is no folder."]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_another_user_is_a_problem() -> None:
    (message,) = problems(DataDirectory(Path("/root")))

    assert "may not use it" in message


def test_a_file_system_that_is_mounted_read_only_is_a_problem(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = os.statvfs(house.directory.root)
    fields = [*mounted[:8], os.ST_RDONLY, *mounted[9:]]
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))

    (message,) = problems(house.directory)

    assert message == f"{house.directory.root} is on a file system that is mounted read-only."


def test_the_file_system_of_a_path_is_that_of_the_nearest_mount() -> None:
    assert file_system(Path("/srv/data/blemish"), MOUNTS) == "nfs4"
    assert file_system(Path("/srv/database"), MOUNTS) == "ext4"


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [("nfs4", "network"), ("tmpfs", "next boot"), ("overlay", "Mount a volume")],
)
def test_a_file_system_that_loses_data_is_a_warning(tmp_path: Path, kind: str, remedy: str) -> None:
    finding = disk_finding(tmp_path, mounts=f"none {tmp_path.resolve()} {kind} rw 0 0\n")

    assert finding.level in {Level.WARNING, Level.PROBLEM}
    assert remedy in (finding.remedy or "") or finding.level is Level.PROBLEM
