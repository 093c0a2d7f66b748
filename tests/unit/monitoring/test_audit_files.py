from __future__ import annotations

import gzip
import os
import resource
import stat
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from blemish.monitoring.audit_files import AuditFiles, append_command
from tests.unit.house import Clock

DAY_S = 24 * 3_600
LINE = b"x" * 99 + b"\n"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def audit_files(
    folder: Path, clock: Clock, *, days: int = 90, max_bytes: int = 1_000_000
) -> AuditFiles:
    return AuditFiles(folder, now=clock, max_age=timedelta(days=days), max_bytes=max_bytes)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_lines_of_a_day_are_in_one_file_that_its_owner_alone_reads(
    folder: Path, clock: Clock
) -> None:
    files = audit_files(folder, clock)

    files.append(b"one\n")
    files.append(b"two\nthree\n")

    [path] = folder.iterdir()
    assert path.name == "2024-05-01.0001.jsonl"
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_day_that_is_over_is_compressed(folder: Path, clock: Clock) -> None:
    files = audit_files(folder, clock)
    files.append(b"one\n")
    clock.advance(DAY_S)
    files.append(b"two\n")
    assert files.is_untidy

    files.tidy()

    assert names(folder) == ["2024-05-01.0001.jsonl.gz", "2024-05-02.0001.jsonl"]
    packed = folder / "2024-05-01.0001.jsonl.gz"
    assert gzip.decompress(packed.read_bytes()) == b"one\n"
    assert stat.S_IMODE(packed.stat().st_mode) == 0o600
    assert not files.is_untidy


def test_a_full_file_is_followed_by_another(folder: Path, clock: Clock) -> None:
    files = audit_files(folder, clock, max_bytes=1_000)

    for _ in range(5):
        files.append(LINE)

    assert [path.stat().st_size for path in sorted(folder.iterdir())] == [200, 200, 100]


def test_after_a_restart_the_file_goes_on_without_the_line_that_was_cut_off(
    folder: Path, clock: Clock
) -> None:
    audit_files(folder, clock).append(b"one\n")
    path = folder / "2024-05-01.0001.jsonl"
    path.write_bytes(b'one\n{"half')

    audit_files(folder, clock).append(b"two\n")

    assert path.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("left", [b"", b"{"])
def test_a_file_without_a_whole_line_becomes_empty(folder: Path, clock: Clock, left: bytes) -> None:
    path = folder / "2024-05-01.0001.jsonl"
    path.write_bytes(left)

    audit_files(folder, clock).append(b"two\n")

    assert path.read_bytes() == b"two\n"


def test_a_compression_that_was_cut_off_is_done_again(folder: Path, clock: Clock) -> None:
    (folder / "2024-04-30.0001.jsonl").write_bytes(b"one\nhalf")
    (folder / "2024-04-30.0001.part").write_bytes(b"half")
    (folder / "2024-04-29.0001.jsonl").write_bytes(b"zero\n")
    (folder / "2024-04-29.0001.jsonl.gz").write_bytes(gzip.compress(b"zero\n"))

    audit_files(folder, clock).tidy()

    assert names(folder) == ["2024-04-29.0001.jsonl.gz", "2024-04-30.0001.jsonl.gz"]
    assert gzip.decompress((folder / "2024-04-29.0001.jsonl.gz").read_bytes()) == b"zero\n"
    assert gzip.decompress((folder / "2024-04-30.0001.jsonl.gz").read_bytes()) == b"one\n"


def test_the_numbers_of_a_day_go_on_after_what_is_compressed(folder: Path, clock: Clock) -> None:
    (folder / "2024-05-01.0009.jsonl.gz").write_bytes(gzip.compress(b"one\n"))

    audit_files(folder, clock).append(b"two\n")

    assert names(folder) == ["2024-05-01.0009.jsonl.gz", "2024-05-01.0010.jsonl"]


def test_what_is_too_old_is_removed_and_nothing_else(folder: Path, clock: Clock) -> None:
    for day in ("2024-04-27", "2024-04-28", "2024-04-29"):
        (folder / f"{day}.0001.jsonl.gz").write_bytes(gzip.compress(b"one\n"))
    (folder / "notes.txt").write_bytes(b"somebody's")

    audit_files(folder, clock, days=3).tidy()

    assert names(folder) == ["2024-04-28.0001.jsonl.gz", "2024-04-29.0001.jsonl.gz", "notes.txt"]


def test_the_oldest_goes_where_there_is_too_much(folder: Path, clock: Clock) -> None:
    for number in range(1, 10):
        (folder / f"2024-04-30.{number:04}.jsonl.gz").write_bytes(os.urandom(200))
    files = audit_files(folder, clock, max_bytes=1_000)
    files.append(LINE)

    files.tidy()

    assert names(folder) == [f"2024-04-30.{number:04}.jsonl.gz" for number in range(6, 10)] + [
        "2024-05-01.0001.jsonl"
    ]


def test_of_lines_that_do_not_fit_nothing_stays(folder: Path, clock: Clock) -> None:
    files = audit_files(folder, clock)
    files.append(LINE)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            files.append(LINE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    files.append(b"two\n")

    assert (folder / "2024-05-01.0001.jsonl").read_bytes() == LINE + b"two\n"


def test_the_file_of_commands_is_compressed_after_its_day_and_is_never_the_servers(
    tmp_path: Path,
) -> None:
    append_command(tmp_path, b"{}\n", today=date(2026, 3, 1))
    append_command(tmp_path, b"{}\n", today=date(2026, 3, 2))
    now = datetime(2026, 3, 2, tzinfo=UTC)
    files = AuditFiles(tmp_path, now=lambda: now, max_age=timedelta(days=9), max_bytes=10**9)

    files.append(b"[]\n")
    files.tidy()
    files.close()

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "2026-03-01.commands.jsonl.gz",
        "2026-03-02.0001.jsonl",
        "2026-03-02.commands.jsonl",
    ]


def test_a_pipe_among_the_files_makes_nobody_wait(tmp_path: Path, clock: Clock) -> None:
    today = clock().date()
    for name in ("0001", "commands"):
        os.mkfifo(tmp_path / f"{today}.{name}.jsonl")
    files = audit_files(tmp_path, clock)

    files.append(LINE)
    files.tidy()
    files.close()

    assert (tmp_path / f"{today}.0002.jsonl").read_bytes() == LINE
    with pytest.raises(OSError, match=r"no regular file|No such device"):
        append_command(tmp_path, LINE, today=today)
