from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from blemish.station.config import WhenBusy
from blemish.station.images import CapturedImage
from blemish.station.intake import Intake
from blemish.station.records import Records
from blemish.station.sources.folder import MOST_BYTES, WatchedFolder
from tests.unit.station.captured import RULES, verdict_on


class Looker:
    """A folder, its source, and looks into it one by one."""

    def __init__(self, folder: Path) -> None:
        self.watched = folder / "images"
        self.watched.mkdir()
        self.now_s = 100.0
        self.records = Records(folder / "station", rules=RULES)
        self.restart()

    def restart(self, when_busy: WhenBusy = WhenBusy.NEVER_DROP) -> None:
        self.source = WatchedFolder(
            "line-1", path=self.watched, settle_s=1.0, clock=lambda: self.now_s
        )
        self.changed = threading.Condition()
        self.intake = Intake(
            "line-1",
            when_busy=when_busy,
            records=self.records,
            changed=self.changed,
            stopping=threading.Event(),
            capacity=100,
        )
        self.source._known = self.records.remembered("line-1")

    def write(self, name: str, content: bytes = b"image", *, age_s: int = 0) -> None:
        path = self.watched / name
        path.write_bytes(content)
        moment = 1_000_000_000 - age_s
        os.utime(path, (moment, moment))

    def look(self, after_s: float = 2.0) -> list[str]:
        """Look now, and again after a while; return the names of the images."""
        return [image.name for image in self.images(after_s)]

    def images(self, after_s: float = 2.0) -> list[CapturedImage]:
        images = []
        self.source._look()
        self.now_s += after_s
        self.source._look()
        self.source._forget(self.intake)
        self.source._offer(self.intake)
        with self.changed:
            while (image := self.intake.take()) is not None:
                images.append(image)
        return images


@pytest.fixture
def looker(folder: Path) -> Iterator[Looker]:
    """A folder that is empty."""
    looker = Looker(folder)
    yield looker
    looker.records.close()


def test_images_come_in_the_order_of_their_change(looker: Looker) -> None:
    looker.write("b.png", age_s=3)
    looker.write("a.JPG", age_s=1)
    looker.write("c.tiff", age_s=2)

    assert looker.look() == ["b.png", "c.tiff", "a.JPG"]
    assert looker.look() == []


def test_a_file_that_is_being_written_waits(looker: Looker) -> None:
    looker.write("a.png", b"half")
    looker.source._look()
    looker.now_s += 0.9
    looker.write("a.png", b"half and half")

    assert looker.look(0.9) == []
    (image,) = looker.images(0.2)
    assert image.content == b"half and half"


@pytest.mark.parametrize("name", [".a.png", "a.png.tmp", "notes.txt"])
def test_other_files_are_no_images(looker: Looker, name: str) -> None:
    looker.write(name)
    (looker.watched / "folder.png").mkdir()

    assert looker.look() == []


def test_a_file_that_is_written_anew_is_another_image(looker: Looker) -> None:
    looker.write("a.png", age_s=10)
    (first,) = looker.images()

    looker.write("a.png", age_s=0)

    (second,) = looker.images()
    assert first.id != second.id


def test_an_image_on_record_is_not_offered_after_a_restart(looker: Looker) -> None:
    looker.write("a.png")
    looker.write("b.png")
    first, second = looker.images()
    looker.records.add(verdict_on(first), first)

    looker.restart()

    assert [image.id for image in looker.images()] == [second.id]


def test_a_file_that_is_gone_is_forgotten(looker: Looker) -> None:
    looker.write("a.png")
    (image,) = looker.images()
    looker.records.add(verdict_on(image), image)

    (looker.watched / "a.png").unlink()
    looker.look()

    assert looker.records.remembered("line-1") == set()


def test_where_the_newest_wins_older_files_are_dropped_unread(looker: Looker) -> None:
    for number in range(5):
        looker.write(f"{number}.png", age_s=5 - number)
    looker.restart(WhenBusy.NEWEST_WINS)

    assert looker.look() == ["4.png"]
    assert looker.records.counters() == {("source line-1", "dropped"): 4}
    looker.restart(WhenBusy.NEWEST_WINS)
    assert looker.look() == ["4.png"]


def test_a_file_that_changes_while_it_is_read_waits(looker: Looker) -> None:
    looker.write("a.png")
    looker.source._look()
    looker.now_s += 2
    looker.source._look()
    looker.write("a.png", b"another image")

    looker.source._offer(looker.intake)

    with looker.changed:
        assert looker.intake.take() is None
    assert looker.look() == ["a.png"]


def test_an_empty_file_waits_for_its_content(looker: Looker) -> None:
    looker.write("a.png", b"")

    assert looker.look() == []
    assert looker.records.counters() == {}


def test_a_file_that_is_too_large_fails_unread(looker: Looker) -> None:
    with (looker.watched / "a.tif").open("wb") as file:
        file.truncate(MOST_BYTES + 1)

    assert looker.look() == []
    assert looker.look() == []
    assert looker.records.counters() == {("source line-1", "failed"): 1}


def test_a_file_that_cannot_be_read_is_logged_once(
    looker: Looker, caplog: pytest.LogCaptureFixture
) -> None:
    looker.write("a.png")
    looker.source._look()
    looker.now_s += 2
    (looker.watched / "a.png").unlink()
    (looker.watched / "a.png").mkdir()

    looker.source._offer(looker.intake)
    looker.source._offer(looker.intake)

    assert [record.message for record in caplog.records if "a.png" in record.message] == [
        "image a.png of line-1: Is a directory"
    ]


def test_a_folder_that_is_not_there_is_not_connected(looker: Looker) -> None:
    looker.watched.rmdir()
    stopping = looker.intake._stopping
    thread = threading.Thread(target=looker.source.run, args=(looker.intake,))

    thread.start()
    while "cannot be read" not in looker.intake.message:
        assert thread.is_alive()
    stopping.set()
    thread.join()

    assert not looker.intake.is_connected
    assert looker.intake.message == f"{looker.watched} cannot be read: No such file or directory."
