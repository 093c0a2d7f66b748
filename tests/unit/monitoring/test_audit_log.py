from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from blemish.monitoring.audit_files import AuditFiles
from blemish.monitoring.audit_log import AuditLog
from tests.unit.house import Clock
from tests.unit.runners.waiting import eventually


class Disk(AuditFiles):
    """Files on a disk that can be full, or slow."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, now=Clock(), max_age=timedelta(days=90), max_bytes=10**6)
        self.is_full = False
        self.may_write = threading.Event()
        self.may_write.set()

    def append(self, lines: bytes) -> None:
        self.may_write.wait(10)
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().append(lines)


@pytest.fixture
def disk(folder: Path) -> Disk:
    (folder / "audit").mkdir()
    return Disk(folder / "audit")


@pytest.fixture
def opened(disk: Disk) -> Iterator[Callable[..., AuditLog]]:
    """Open logs over the disk; they end with the test."""
    logs: list[AuditLog] = []

    def make(**options: Any) -> AuditLog:
        log = AuditLog(disk, gap=lambda missing: {"missing": missing}, **options)
        logs.append(log)
        log.start()
        return log

    yield make
    disk.may_write.set()
    for log in logs:
        log.stop()


def written(folder: Path) -> list[dict[str, Any]]:
    text = "".join(path.read_text() for path in sorted((folder / "audit").glob("*.jsonl")))
    return [json.loads(line) for line in text.splitlines()]


def test_records_are_written_at_once_and_in_order(
    folder: Path, opened: Callable[..., AuditLog]
) -> None:
    log = opened()

    for number in range(1_200):
        log.add({"number": number})

    eventually(lambda: len(written(folder)) == 1_200)
    assert [record["number"] for record in written(folder)] == list(range(1_200))


def test_what_waits_is_written_before_the_end(
    folder: Path, disk: Disk, opened: Callable[..., AuditLog]
) -> None:
    disk.may_write.clear()
    log = opened()
    for number in range(1_200):
        log.add({"number": number})
    threading.Timer(0.05, disk.may_write.set).start()

    log.stop()

    assert len(written(folder)) == 1_200


def test_whoever_adds_a_record_never_waits_and_what_is_lost_is_told(
    folder: Path, disk: Disk, opened: Callable[..., AuditLog]
) -> None:
    disk.may_write.clear()
    with capture_logs() as logged:
        log = opened(max_waiting=3)
        for number in range(5):
            log.add({"number": number})
        lost = log.lost

        disk.may_write.set()
        eventually(lambda: {"missing": 2} in written(folder))

    assert lost == 2
    assert [record.get("number") for record in written(folder)] == [0, 1, 2, None]
    assert logged == [{"event": "audit records were lost", "count": 2, "log_level": "error"}]


def test_on_a_full_disk_records_wait_until_there_is_room(
    folder: Path, disk: Disk, opened: Callable[..., AuditLog]
) -> None:
    disk.is_full = True
    with capture_logs() as logged:
        log = opened()
        log.add({"number": 1})
        eventually(lambda: bool(logged))
        assert written(folder) == []
        assert log.waiting == 1

        disk.is_full = False
        eventually(lambda: len(logged) == 2)

    assert written(folder) == [{"number": 1}]
    assert (log.waiting, log.lost) == (0, 0)
    assert [(line["event"], line["log_level"]) for line in logged] == [
        ("the audit log fails", "error"),
        ("the audit log works again", "warning"),
    ]


def test_what_cannot_be_written_at_the_end_is_told(
    disk: Disk, opened: Callable[..., AuditLog]
) -> None:
    disk.is_full = True
    log = opened()
    log.add({"number": 1})

    with capture_logs() as logged:
        log.stop()

    assert logged[-1] == {"event": "audit records were lost", "count": 1, "log_level": "error"}


def test_files_that_are_done_are_tidied(folder: Path, opened: Callable[..., AuditLog]) -> None:
    log = opened()
    eventually(lambda: log._tidied_at > 0)
    (folder / "audit" / "2024-04-30.0001.jsonl").write_text("{}\n")
    log._files.is_untidy = True

    log.add({"number": 1})

    eventually((folder / "audit" / "2024-04-30.0001.jsonl.gz").exists)


def test_a_record_that_was_not_made_is_told_of_once_a_second(
    folder: Path, opened: Callable[..., AuditLog]
) -> None:
    log = opened()

    for number in range(50):
        log.lose()
        log.add({"number": number})
        time.sleep(0.002)
    log.stop()

    gaps = [record["missing"] for record in written(folder) if "missing" in record]
    assert sum(gaps) == log.lost == 50
    assert len(gaps) <= 3
