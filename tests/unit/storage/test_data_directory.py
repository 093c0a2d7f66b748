from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from blemish.domain.entities import KeyPair
from blemish.monitoring.audit_files import append_command
from blemish.server.aws_files import AwsFiles
from blemish.storage.data_directory import DataDirectory, DirectoryBusyError
from blemish.storage.errors import DataDirectoryError
from blemish.storage.files import write_durably
from tests.unit.storage.samples import python

OWNER = 12_345


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    directory = DataDirectory(tmp_path / "new" / "data")
    directory.create()
    return directory


def test_every_folder_is_for_its_owner_alone(directory: DataDirectory) -> None:
    folders = [directory.root, *directory.root.iterdir()]

    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}
    assert directory.buckets in folders


def test_a_folder_that_was_open_to_others_is_closed(directory: DataDirectory) -> None:
    directory.root.chmod(0o755)

    directory.create()

    assert directory.root.stat().st_mode & 0o777 == 0o700


def test_what_cannot_be_a_data_directory_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    (tmp_path / "aws").touch()

    with pytest.raises(DataDirectoryError, match=f"{file} cannot be used .*: File exists\\.$"):
        DataDirectory(file).create()
    with pytest.raises(DataDirectoryError, match=rf"{tmp_path} .* \({tmp_path / 'aws'}\)\.$"):
        DataDirectory(tmp_path).create()
    with pytest.raises(DataDirectoryError, match=f"{file} cannot be used"):
        DataDirectory(file).lock("a server").__enter__()


def test_a_second_server_learns_who_is_the_first(directory: DataDirectory) -> None:
    code = """
import sys
from pathlib import Path
from blemish.storage.data_directory import DataDirectory, DirectoryBusyError
try:
    with DataDirectory(Path(sys.argv[1])).lock("the second"):
        print("held by two")
except DirectoryBusyError as error:
    print(error)
"""
    with directory.lock("the first"):
        said, _ = python(code, directory.root).communicate()

    assert f"{directory.root} is served already" in said
    assert "(the first)" in said


def test_the_lock_goes_with_its_process(directory: DataDirectory) -> None:
    code = """
import sys, time
from pathlib import Path
from blemish.storage.data_directory import DataDirectory
with DataDirectory(Path(sys.argv[1])).lock("the first"):
    print("held", flush=True)
    time.sleep(60)
"""
    with python(code, directory.root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(DirectoryBusyError, match=rf"process {process.pid} \(the first\)"):
            directory.lock("the second").__enter__()

        process.kill()

    with directory.lock("the second"):
        pass


@pytest.mark.parametrize("name", ["identity", "aws/config", "audit/x.jsonl", "bundles/1/model"])
def test_a_pipe_among_the_files_is_named_instead_of_waited_for(tmp_path: Path, name: str) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.create()
    pipe = directory.root / name
    pipe.parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)

    with pytest.raises(DataDirectoryError, match=f"{pipe} is a pipe"):
        directory.create()


def test_a_pipe_that_comes_later_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "2026-01-02.commands.jsonl")

    with pytest.raises(OSError, match="No such device"):
        append_command(tmp_path, b"{}\n", today=date(2026, 1, 2))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write as somebody else")
def test_what_root_writes_belongs_to_the_owner_of_the_directory(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.root.mkdir()
    os.chown(directory.root, OWNER, OWNER)

    directory.create()
    with directory.lock("a test"):
        AwsFiles(directory.aws, staging=directory.staging).write_key(KeyPair(id="a", secret="b"))
    write_durably(directory.stored_files / "new" / "file", b"data", staging=directory.staging)

    owners = {path: path.stat().st_uid for path in directory.root.rglob("*")}
    assert len(owners) > 10
    assert {path for path, owner in owners.items() if owner != OWNER} == set()


class RefusedError(Exception):
    """Ends a start."""


def refuse(directory: DataDirectory) -> None:
    """Open a directory for a server whose start is refused."""
    with directory.opened("a server"):
        directory.server.touch()
        raise RefusedError


def refused(directory: DataDirectory) -> None:
    with pytest.raises(RefusedError):
        refuse(directory)


def test_a_first_start_that_is_refused_removes_what_it_created(tmp_path: Path) -> None:
    mine = DataDirectory(tmp_path / "mine")
    mine.keyring.mkdir(parents=True)

    refused(DataDirectory(tmp_path / "new"))
    refused(mine)

    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert set(mine.root.iterdir()) == {mine.keyring, mine.lock_file}


def test_a_refused_start_of_a_directory_in_use_removes_nothing(directory: DataDirectory) -> None:
    directory.identity.touch()
    directory.trash.rmdir()

    refused(directory)

    assert directory.trash.exists()
    assert directory.server.exists()
