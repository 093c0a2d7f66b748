from __future__ import annotations

import os
from pathlib import Path

import pytest

from blemish.station.errors import SinkError
from blemish.station.sinks.folders import FolderSink
from tests.unit.station.verdicts import verdict

NAME = "20260102T235959.500000Z-0001.png"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "records" / "0001.png"
    path.parent.mkdir()
    path.write_bytes(b"pixels")
    return path


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_images_are_sorted_by_verdict(tmp_path: Path, image: Path) -> None:
    folder = tmp_path / "sorted"
    sink = FolderSink("sorted", directory=folder)

    sink.deliver(verdict(1, image_path=image))
    sink.deliver(verdict(1, image_path=image, is_anomalous=False))

    assert names(folder) == [f"not-ok/{NAME}", f"ok/{NAME}"]
    assert (folder / "ok" / NAME).samefile(image)


def test_a_repeated_delivery_changes_nothing(tmp_path: Path, image: Path) -> None:
    folder = tmp_path / "sorted"
    FolderSink("sorted", directory=folder).deliver(verdict(1, image_path=image))

    FolderSink("sorted", directory=folder).deliver(verdict(1, image_path=image))

    assert names(folder) == [f"not-ok/{NAME}"]


def test_an_image_of_another_file_system_is_copied(image: Path) -> None:
    other = Path("/dev/shm") / f"blemish-test-{os.getpid()}"
    if not Path("/dev/shm").is_dir() or image.stat().st_dev == Path("/dev/shm").stat().st_dev:
        pytest.skip("there is no second file system")
    try:
        FolderSink("sorted", directory=other).deliver(verdict(1, image_path=image))

        assert names(other) == [f"not-ok/{NAME}"]
        assert (other / "not-ok" / NAME).read_bytes() == b"pixels"
    finally:
        for path in sorted(other.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        other.rmdir()


def test_a_verdict_without_an_image_adds_nothing(tmp_path: Path) -> None:
    sink = FolderSink("sorted", directory=tmp_path)

    sink.deliver(verdict(1, image_path=None))
    sink.deliver(verdict(2, image_path=tmp_path / "removed since.png"))

    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, image: Path) -> None:
    (tmp_path / "not-ok").write_text("a file")

    with pytest.raises(SinkError, match="cannot be written: File exists"):
        FolderSink("sorted", directory=tmp_path).deliver(verdict(1, image_path=image))
