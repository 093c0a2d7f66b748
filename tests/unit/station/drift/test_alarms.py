"""Alarms on their way: records, sinks, status, restarts."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from blemish.engine.normal_images import MEDIAN_OF, Comparison, MeasuredRange
from blemish.station.config import ImageRule
from blemish.station.delivery import SinkWorker
from blemish.station.drift.alarms import AlarmEvent, AlarmKind
from blemish.station.drift.watch import SourceWatch
from blemish.station.errors import SinkError
from blemish.station.page.metrics import metrics_text
from blemish.station.records import Records
from tests.unit.station.captured import RULES, MemorySink, captured, sink_config, verdict_on
from tests.unit.station.statuses import station_status
from tests.unit.station.test_runner import Bench, wait_until
from tests.unit.station.verdicts import TIME

RANGES = {
    "brightness": MeasuredRange(low=0.4, middle=0.5, high=0.6),
    "sharpness": MeasuredRange(low=0.5, middle=0.6, high=0.7),
}


class AlarmMemorySink(MemorySink):
    """Remembers events of alarms too."""

    takes_alarms = True

    def __init__(self) -> None:
        super().__init__()
        self.events: list[AlarmEvent] = []

    def deliver_alarm(self, event: AlarmEvent) -> None:
        if self.is_away:
            raise SinkError("The sink is away.")
        self.events.append(event)


def comparison(brightness: float) -> Comparison:
    values = {"brightness": brightness, "sharpness": 0.6, "shift_x": 0, "shift_y": 0}
    values |= {"alignment": 9, "score": 1, "embedding_distance": 1}
    return Comparison(values=values, ranges=RANGES)


def opened(folder: Path) -> Records:
    rules = replace(RULES, images=frozenset[ImageRule]())
    records = Records(folder, rules=rules, sinks=[sink_config()])
    records.drift.begin_events("table")
    return records


def add(records: Records, brightness: float, numbers: range) -> None:
    for number in numbers:
        image = captured(number)
        verdict = verdict_on(image, time=TIME + timedelta(minutes=number), is_anomalous=False)
        records.add(verdict, image, comparison=comparison(brightness))


@pytest.fixture
def records(folder: Path) -> Iterator[Records]:
    records = opened(folder)
    yield records
    records.close()


def test_an_alarm_begins_once_and_ends_once(records: Records) -> None:
    add(records, 0.5, range(30))
    add(records, 0.1, range(30, 100))
    add(records, 0.5, range(100, 150))

    (alarm,) = records.drift.alarms()

    assert (alarm.kind, alarm.source) == (AlarmKind.DARK, "line-1")
    assert alarm.began_at == TIME + timedelta(minutes=42)  # the 13th dark one of the last 25
    assert alarm.ended_at == TIME + timedelta(minutes=112)
    steps = [event.step for event in records.drift.pending_events("table", limit=10)]
    assert steps == ["begins", "ends"]


def test_a_restart_neither_ends_nor_repeats_an_alarm(folder: Path) -> None:
    first = opened(folder)
    add(first, 0.1, range(40))
    (event,) = first.drift.pending_events("table", limit=10)
    first.drift.event_delivered("table", event.number)
    first.close()

    second = opened(folder)
    add(second, 0.1, range(40, 80))

    assert [alarm.kind for alarm in second.drift.alarms(only_active=True)] == [AlarmKind.DARK]
    assert second.drift.pending_events("table", limit=10) == []
    second.close()


def test_the_alarms_of_a_source_that_is_gone_end(records: Records) -> None:
    add(records, 0.1, range(40))

    records.drift.forget_others({"line-1"}, at=TIME)
    (before,) = records.drift.alarms()
    records.drift.forget_others({"line-2"}, at=TIME)
    (after,) = records.drift.alarms()
    add(records, 0.1, range(40, 80))  # it is there again

    assert (before.ended_at, after.ended_at) == (None, TIME)
    steps = [event.step for event in records.drift.pending_events("table", limit=10)]
    assert steps == ["begins", "ends", "begins"]


def test_a_model_without_normal_images_ends_the_alarms_of_another() -> None:
    dark = SourceWatch(model="plates 1", alarms=frozenset({AlarmKind.DARK, AlarmKind.MOVED}))
    unaligned = dark
    for _ in range(MEDIAN_OF):
        unaligned = unaligned.add(comparison(0.5), model="plates 2", is_anomalous=False, band=None)

    assert dark.add(None, model="plates 2", is_anomalous=False, band=None).alarms == set()
    assert dark.add(comparison(0.5), model="p", is_anomalous=False, band=None).alarms == dark.alarms
    assert unaligned.alarms == set()


def test_a_sink_goes_on_after_its_records_failed_once(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping, calls = threading.Event(), list[str]()

    def begin_events(sink: str) -> None:
        calls.append(sink)
        if len(calls) == 1:
            raise sqlite3.OperationalError("disk I/O error")
        stopping.set()

    monkeypatch.setattr(records.drift, "begin_events", begin_events)
    worker = SinkWorker(
        sink=AlarmMemorySink(), records=records, stopping=stopping, first_pause_s=0.01
    )
    worker.wake.set()
    thread = threading.Thread(target=worker.run)
    thread.start()
    stopping.wait(10)
    worker.wake.set()
    thread.join(10)

    assert calls == ["table", "table"]


def test_an_image_that_is_recorded_twice_counts_once(records: Records) -> None:
    add(records, 0.5, range(3))
    add(records, 0.5, range(3))

    hours = records.drift.hours(since=TIME - timedelta(hours=1))

    assert [hour.images for hour in hours] == [1, 2]
    assert hours[1].means["brightness"] == pytest.approx(0.5)
    assert hours[1].means["anomalous"] == 0


def test_a_sink_that_was_away_gets_the_alarm_later(folder: Path) -> None:
    sink = AlarmMemorySink()
    bench = Bench(folder)
    bench.sink = sink
    sink.is_away = True
    bench.start()
    add(bench.records, 0.1, range(40))
    sink.is_away = False
    bench.offer(99)

    wait_until(lambda: bool(sink.events))

    assert sink.events[0].alarm.kind is AlarmKind.DARK
    assert [alarm.kind for alarm in bench.station.status().alarms] == [AlarmKind.DARK]
    bench.stop()


def test_the_metrics_have_each_alarm_of_each_source(records: Records) -> None:
    add(records, 0.1, range(40))
    alarm = replace(records.drift.alarms()[0], source="camera")

    text = metrics_text(station_status(alarms=(alarm,)))

    assert 'blemish_station_alarm{source="camera",kind="dark"} 1' in text
    assert 'blemish_station_alarm{source="camera",kind="moved"} 0' in text
