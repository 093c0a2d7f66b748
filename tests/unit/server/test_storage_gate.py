from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from blemish.server.storage_gate import StorageGate
from blemish.storage.data_directory import DataDirectory
from blemish.storage.disk import Disk
from blemish.wire.calls import Call
from blemish.wire.errors import InsufficientStorageError, ServiceUnavailableError
from tests.acceptance.served import fill


def call(operation: str) -> Call:
    return Call(
        request_id="1",
        received_at=datetime(2026, 3, 1, tzinfo=UTC),
        source_ip=None,
        user_agent=None,
        operation=operation,
    )


@pytest.fixture
def directory(small_disk: Path) -> DataDirectory:
    directory = DataDirectory(small_disk / "data")
    directory.create()
    Disk(directory).take_reserve()
    return directory


@pytest.mark.parametrize("operation", ["PutObject", "CreateModel", "TagResource", "StartModel"])
def test_a_full_disk_refuses_what_writes_and_lets_deletions_use_the_reserve(
    directory: DataDirectory, small_disk: Path, operation: str
) -> None:
    gate = StorageGate(Disk(directory), problem=None)
    gate(call(operation))
    fill(small_disk / "ballast")

    with pytest.raises(InsufficientStorageError, match=r"0 bytes are free, and 262144 are kept"):
        gate(call(operation))
    for allowed in ("DetectAnomalies", "ListModels", "GetObject", "HeadBucket"):
        gate(call(allowed))
    untouched = directory.reserve.exists()
    gate(call("DeleteObject"))

    assert untouched
    assert not directory.reserve.exists()


def test_a_server_that_cannot_write_only_reads(tmp_path: Path) -> None:
    gate = StorageGate(Disk(DataDirectory(tmp_path)), problem="DIR cannot be written")

    for allowed in ("DetectAnomalies", "DescribeModel", "GetObject"):
        gate(call(allowed))
    for refused in ("DeleteModel", "StopModel", "PutObject"):
        with pytest.raises(ServiceUnavailableError, match=r"only reads.*DIR cannot be written"):
            gate(call(refused))
