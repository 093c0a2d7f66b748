from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from blemish.storage.errors import StoreFullError, StoreWriteError
from blemish.storage.files import clear_staging, publish_folder, remove_tree, write_durably
from tests.unit.storage.samples import python

STOP_AT_RENAME = """
import sys, time
from pathlib import Path
from blemish.storage.files import publish_folder, remove_tree, write_durably
def stop(event, arguments):
    if event == sys.argv[1]:
        print("stopped", flush=True)
        time.sleep(60)
sys.addaudithook(stop)
"""


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    return tmp_path / "staging"


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def kill_when_stopped(process: subprocess.Popen[str]) -> None:
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stopped\n"
        process.kill()


def test_a_file_is_written_with_the_folders_it_needs(tmp_path: Path, staging: Path) -> None:
    path = tmp_path / "a" / "b" / "file"

    write_durably(path, [b"one ", b"", b"two"], staging=staging)

    assert path.read_bytes() == b"one two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert files_below(staging) == set()


def test_a_file_takes_the_place_of_the_one_before(tmp_path: Path, staging: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a longer text, once")

    write_durably(path, b"new", staging=staging)

    assert path.read_bytes() == b"new"


def test_an_error_while_data_is_made_passes_through_and_leaves_nothing(
    tmp_path: Path, staging: Path
) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise FileNotFoundError("the source is gone")

    with pytest.raises(FileNotFoundError, match="the source is gone"):
        write_durably(tmp_path / "a" / "b" / "file", chunks(), staging=staging)

    assert files_below(tmp_path) == {"staging"}


def test_a_file_that_cannot_get_its_name_leaves_nothing(tmp_path: Path, staging: Path) -> None:
    (tmp_path / "taken" / "inside").mkdir(parents=True)

    with pytest.raises(StoreWriteError, match=r"taken cannot be written \(Is a directory\)"):
        write_durably(tmp_path / "taken", b"data", staging=staging)
    with pytest.raises(StoreWriteError, match="File name too long"):
        write_durably(tmp_path / "new" / ("x" * 300), b"data", staging=staging)

    assert files_below(tmp_path) == {"staging", "taken", "taken/inside"}


def test_a_process_killed_before_the_rename_leaves_the_old_file(
    tmp_path: Path, staging: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    code = STOP_AT_RENAME + (
        "write_durably(Path(sys.argv[2]), b'new' * 1000, staging=Path(sys.argv[3]))"
    )

    kill_when_stopped(python(code, "os.rename", path, staging))

    assert path.read_bytes() == b"old"
    assert len(files_below(staging)) == 1
    clear_staging(staging)
    assert files_below(staging) == set()


def test_a_limit_on_file_sizes_is_a_full_disk(tmp_path: Path, staging: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from blemish.storage.errors import StoreFullError
from blemish.storage.files import write_durably
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    write_durably(Path(sys.argv[1]), b"x" * 1500, staging=Path(sys.argv[2]), name="the file")
except StoreFullError as error:
    print(error)
"""

    said, _ = python(code, tmp_path / "new" / "file", staging).communicate()

    assert said == "There is no room to write the file (File too large).\n"
    assert files_below(tmp_path) == {"staging"}


def test_a_full_disk_leaves_the_old_file_and_nothing_new(small_disk: Path) -> None:
    path = small_disk / "file"
    path.write_bytes(b"old")

    with pytest.raises(StoreFullError, match="No space left on device"):
        write_durably(path, [b"x" * 4096] * 500, staging=small_disk / "staging")

    assert path.read_bytes() == b"old"
    assert files_below(small_disk) == {"file", "staging"}


def test_a_folder_is_published_with_all_that_is_in_it(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "bundles" / "1"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "file").write_bytes(b"data")

    publish_folder(source, target)

    assert (target / "sub" / "file").read_bytes() == b"data"
    assert not source.exists()


def test_a_folder_is_not_published_over_another(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()

    with pytest.raises(StoreWriteError, match="target cannot be written"):
        publish_folder(source, target)

    assert source.exists()


def test_a_folder_with_a_link_in_it_is_not_published(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "link").symlink_to("/etc/hostname")

    with pytest.raises(StoreWriteError):
        publish_folder(source, tmp_path / "target")

    assert not (tmp_path / "target").exists()


def test_a_tree_is_removed_whatever_it_is(tmp_path: Path, staging: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "link").symlink_to(outside)
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to(outside)

    for path in (tree, file, link, tmp_path / "absent", tmp_path / "absent" / "too"):
        remove_tree(path, staging=staging)

    assert files_below(tmp_path) == {"staging", "outside", "outside/file"}


def test_a_process_killed_while_it_removes_a_tree_has_removed_it(
    tmp_path: Path, staging: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").touch()
    code = STOP_AT_RENAME + "remove_tree(Path(sys.argv[2]), staging=Path(sys.argv[3]))"

    kill_when_stopped(python(code, "shutil.rmtree", tree, staging))

    assert not tree.exists()
    clear_staging(staging)
    assert files_below(tmp_path) == {"staging"}
