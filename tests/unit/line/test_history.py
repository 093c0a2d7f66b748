from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from blemish.domain.errors import ValidationError
from blemish.line.exports import history_archive
from blemish.line.history import HistoryFilter, LineHistory, VerdictCount
from blemish.line.shifts import ShiftCounter, shift_beginning
from blemish.station.records import Records
from blemish.station.verdict import VerdictArea
from tests.unit.station.captured import DETECTION, RULES, captured, verdict_on
from tests.unit.station.verdicts import TIME

SCRATCH = (VerdictArea(name="scratch", share=0.1),)


@pytest.fixture
def history(folder: Path) -> Iterator[LineHistory]:
    """Nine verdicts, a minute apart: each third is anomalous, the sixth a scratch."""
    records = Records(folder, rules=RULES)
    for number in range(1, 10):
        image, is_anomalous = captured(number), number % 3 == 0
        changes = {} if is_anomalous else {"anomalies": (), "is_anomalous": False, "score": 0.2}
        if number == 6:
            changes = {"anomalies": SCRATCH, "score": 1.05, "component_version": "2"}
        moment = TIME + timedelta(minutes=number)
        stored = records.images.store(image, DETECTION) if number == 3 else None
        records.add(verdict_on(image, **{"time": moment} | changes), image, stored=stored)
    yield LineHistory(folder)
    records.close()


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (HistoryFilter(), [9, 8, 7, 6, 5, 4, 3, 2, 1]),
        (HistoryFilter(verdict="not-ok"), [9, 6, 3]),
        (HistoryFilter(verdict="ok", until=TIME + timedelta(minutes=5)), [4, 2, 1]),
        (HistoryFilter(since=TIME + timedelta(minutes=8)), [9, 8]),
        (HistoryFilter(verdict="uncertain"), [6]),
        (HistoryFilter(lowest_score=1.0, highest_score=1.1), [6]),
        (HistoryFilter(anomaly_type="scratch"), [6]),
        (HistoryFilter(model="plates 2"), [6]),
        (HistoryFilter(only_stored=True), [3]),
    ],
)
def test_verdicts_are_selected(
    history: LineHistory, wanted: HistoryFilter, numbers: list[int]
) -> None:
    assert [entry.number for entry in history.page(wanted)] == numbers
    assert history.count(wanted).images == len(numbers)


def test_pages_go_on_where_the_last_one_ended(history: LineHistory) -> None:
    first = history.page(HistoryFilter(), limit=4)
    second = history.page(HistoryFilter(), before=first[-1].position, limit=4)

    assert [entry.number for entry in second] == [5, 4, 3, 2]
    assert [entry.number for entry in history.entries(HistoryFilter())] == list(range(9, 0, -1))


@pytest.mark.parametrize("number", ["9223372036854775808", "²", "-1", ""])
def test_a_position_that_is_none_is_refused(history: LineHistory, number: str) -> None:
    with pytest.raises(ValidationError, match="before is"):
        history.page(HistoryFilter(), before=f"2026-01-01T00:00:00+00:00/{number}")


def test_an_archive_has_one_image_in_memory(history: LineHistory) -> None:
    (entry,) = history.page(HistoryFilter(only_stored=True))
    assert entry.verdict.image_path is not None
    image = entry.verdict.image_path.read_bytes() + bytes(100_000)
    entry.verdict.image_path.write_bytes(image)

    entries = [replace(entry, verdict=replace(entry.verdict, id=name)) for name in "abc"]
    chunks = list(history_archive(entries, now=TIME))

    assert max(map(len, chunks)) < len(image) + 10_000
    with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as archive:
        assert archive.read(archive.namelist()[0]) == image
        assert len(archive.read("verdicts.csv").splitlines()) == 4


def test_the_choices_are_those_on_record(history: LineHistory) -> None:
    assert history.models() == ["plates 1.0.0", "plates 2"]
    assert history.anomaly_types() == ["scratch", "stain"]
    assert history.count(HistoryFilter()) == VerdictCount(images=9, anomalous=3)


def test_a_line_that_never_ran_has_no_history(folder: Path) -> None:
    history = LineHistory(folder / "none")

    assert history.page(HistoryFilter()) == []
    assert history.count(HistoryFilter()) == VerdictCount(images=0, anomalous=0)
    assert not (folder / "none").exists()


@pytest.mark.parametrize(
    ("now", "begin"),
    [
        ("2026-01-02T07:30:00+01:00", "2026-01-02T06:00:00+01:00"),
        ("2026-01-02T05:59:59+01:00", "2026-01-01T22:00:00+01:00"),
        # clocks went forward that night: the shift began by those of before
        ("2026-03-29T05:00:00+02:00", "2026-03-28T22:00:00+01:00"),
    ],
)
def test_a_shift_begins_by_the_clocks_of_the_line(now: str, begin: str) -> None:
    shifts = (time(6), time(14), time(22))

    moment = shift_beginning(datetime.fromisoformat(now), shifts, ZoneInfo("Europe/Berlin"))

    assert moment == datetime.fromisoformat(begin)


def test_a_new_shift_counts_anew() -> None:
    now = datetime(2026, 1, 2, 13, 59, tzinfo=UTC)
    counter = ShiftCounter(
        shifts=(time(6), time(14)),
        zone=ZoneInfo("UTC"),
        count_since=lambda _begin: VerdictCount(images=5, anomalous=2),
        now=lambda: now,
    )
    counter.restore()
    counter.add(is_anomalous=True)
    before = (counter.images, counter.anomalous)

    now = datetime(2026, 1, 2, 14, 0, tzinfo=UTC)
    counter.add(is_anomalous=False)

    assert before == (6, 3)
    assert (counter.images, counter.anomalous) == (1, 0)
