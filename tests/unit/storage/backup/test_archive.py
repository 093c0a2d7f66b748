from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blemish.storage.backup.archive import HEAD, SUMS, ArchiveReader, ArchiveWriter
from blemish.storage.errors import BackupBrokenError, BackupError
from tests.unit.storage.samples import NOW

FILES = {
    "blemish.db": b"rows" * 300,
    "buckets/images/a b/ü \\ \U0001f600.jpg": b"",
    f"buckets/images/{'long/' * 60}name": b"image",
    "kept/entries.jsonl": b"line\n" * 20_000,
}
TIME_NS = 1_700_000_000_123_456_789


def ignored(_: int) -> None:
    """Take no notice of progress."""


def write(path: Path, files: Mapping[str, bytes], *, source: Path) -> Path:
    with path.open("wb") as file, ArchiveWriter.into(file, progress=ignored) as writer:
        writer.begin(version="1.2.3", now=NOW)
        writer.add_folder("buckets/empty")
        for name, data in files.items():
            source.write_bytes(data)
            os.utime(source, ns=(TIME_NS, TIME_NS))
            assert writer.add(name, source)
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write(tmp_path / "backup.tar", FILES, source=tmp_path / "source")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def reader(path: Path) -> ArchiveReader:
    return ArchiveReader(path, progress=ignored)


def hostile(path: Path, member: tarfile.TarInfo, data: bytes = b"") -> Path:
    """Make an archive that begins as a backup does."""
    head = tarfile.TarInfo(HEAD)
    content = b'{"format": 1}'
    head.size, member.size = len(content), len(data)
    with tarfile.open(path, "w") as tar:
        tar.addfile(head, io.BytesIO(content))
        tar.addfile(member, io.BytesIO(data))
    return path


def test_what_was_written_comes_back_to_the_nanosecond(archive: Path, target: Path) -> None:
    reader(archive).extract(target)

    found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert found == set(FILES)
    for name, data in FILES.items():
        path = target / name
        assert path.read_bytes() == data
        assert path.stat().st_mtime_ns == TIME_NS
        assert path.stat().st_mode & 0o777 == 0o600
    assert (target / "buckets" / "empty").is_dir()


def test_other_tools_can_read_and_check_it(archive: Path, target: Path) -> None:
    if not shutil.which("sha256sum"):
        pytest.skip("there is no sha256sum")

    subprocess.run(["tar", "xf", archive], cwd=target, check=True)
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", SUMS], cwd=target, capture_output=True, check=False
    )

    assert checked.returncode == 0, checked.stderr
    assert len(checked.stdout.splitlines()) == len(FILES) + 1
    assert (target / "blemish.db").stat().st_mtime_ns == TIME_NS


@pytest.mark.parametrize("name", [*(name for name, data in FILES.items() if data), HEAD])
def test_a_changed_byte_names_the_file(archive: Path, target: Path, name: str) -> None:
    data = bytearray(archive.read_bytes())
    with tarfile.open(archive) as tar:
        member = tar.getmember(name)
    data[member.offset_data + member.size - 2] ^= 1
    archive.write_bytes(data)

    with pytest.raises(BackupBrokenError, match=r"is damaged: |cannot be read") as caught:
        reader(archive).extract(target)

    assert name == HEAD or name in str(caught.value)


def test_one_that_was_cut_off_anywhere_is_broken(archive: Path, tmp_path: Path) -> None:
    whole = archive.read_bytes()
    with tarfile.open(archive) as tar:
        end = tar.getmember(SUMS).offset_data + tar.getmember(SUMS).size

    for size in (*range(0, end, 4_096), end - 1):
        archive.write_bytes(whole[:size])
        folder = tmp_path / str(size)
        folder.mkdir()
        with pytest.raises(BackupBrokenError):
            reader(archive).extract(folder)


@pytest.mark.parametrize("content", [b"", b"no archive" * 1000])
def test_what_is_no_archive_is_named(tmp_path: Path, target: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)

    with pytest.raises(BackupBrokenError, match=f"{path} is no backup of Blemish"):
        reader(path).extract(target)


def test_one_that_is_absent_or_of_another_format_is_named(tmp_path: Path, target: Path) -> None:
    other = tmp_path / "other.tar"
    head = tarfile.TarInfo(HEAD)
    content = b'{"format": 2}'
    head.size = len(content)
    with tarfile.open(other, "w") as tar:
        tar.addfile(head, io.BytesIO(content))

    with pytest.raises(BackupBrokenError, match=r"cannot be read \(No such file"):
        reader(tmp_path / "absent").extract(target)
    with pytest.raises(BackupBrokenError, match="a backup of format 2"):
        reader(other).extract(target)


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside", "a//b", "."])
def test_no_name_leads_outside(tmp_path: Path, target: Path, name: str) -> None:
    path = hostile(tmp_path / "hostile.tar", tarfile.TarInfo(name), b"data")

    with pytest.raises(BackupBrokenError):
        reader(path).extract(target)

    assert list(target.iterdir()) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["hostile.tar", "target"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_there_are_files_and_folders_alone(tmp_path: Path, target: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("kept")
    member.type, member.linkname = kind, "/etc/passwd"
    path = hostile(tmp_path / "hostile.tar", member)

    with pytest.raises(BackupBrokenError, match="has no member like"):
        reader(path).extract(target)

    assert list(target.iterdir()) == []


def test_a_file_that_changes_while_it_is_read_ends_the_backup(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(5_000_000))

    def change(_: int) -> None:
        with source.open("ab") as file:
            file.write(b"more")

    with (
        (tmp_path / "backup.tar").open("wb") as file,
        pytest.raises(BackupError, match="changed while it was read"),
        ArchiveWriter.into(file, progress=change) as writer,
    ):
        writer.add("kept/file", source)


def test_a_file_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    with (
        (tmp_path / "backup.tar").open("wb") as file,
        ArchiveWriter.into(file, progress=ignored) as writer,
    ):
        writer.begin(version="1.2.3", now=datetime.now(UTC))

        assert not writer.add("kept/file", tmp_path / "absent")
        assert not writer.add("kept/folder", tmp_path)
