from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from blemish.station.config import ImageRule, SinkConfig, SourceConfig, WhenBusy
from blemish.station.config_table import ConfigTable
from blemish.station.errors import BusyError, JudgeAwayError, UnreadableError, VerdictRefusedError
from blemish.station.images import CapturedImage
from blemish.station.intake import Intake
from blemish.station.records import Records
from blemish.station.runner import Station
from blemish.station.verdict import Verdict
from tests.unit.station.captured import (
    AWAY,
    BROKEN,
    RULES,
    UNEXPECTED,
    MemorySink,
    PlainJudge,
    captured,
    sink_config,
)

PATIENCE_S = 60.0


class HandSource:
    """A source whose intake the test uses itself."""

    capacity = 1
    intake: Intake

    def __init__(self, name: str = "line-1") -> None:
        self.name = name

    def run(self, intake: Intake) -> None:
        self.intake = intake
        intake.connected()
        while not intake.is_stopping:
            intake.pause(PATIENCE_S)


class Bench:
    """A station over parts of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.judge = PlainJudge()
        self.sink = MemorySink()
        self.source = HandSource()
        self.folder = folder
        self.rules = replace(RULES, images=frozenset())

    def start(
        self,
        *,
        when_busy: WhenBusy = WhenBusy.NEVER_DROP,
        sink: SinkConfig | None = None,
        sinks: tuple[MemorySink, ...] = (),
    ) -> None:
        configs = [sink or sink_config(), *(sink_config(other.name) for other in sinks)]
        self.records = Records(self.folder, rules=self.rules, sinks=configs)
        table = ConfigTable({}, name="source")
        config = SourceConfig(type="hand", name="line-1", when_busy=when_busy, table=table)
        self.station = Station(
            judge=self.judge,
            records=self.records,
            sources=[(self.source, config)],
            sinks=[self.sink, *sinks],
        )
        self.station.start()
        wait_until(lambda: hasattr(self.source, "intake"))

    def offer(self, number: int = 1, *, content: bytes | None = None) -> Future[Verdict]:
        answer: Future[Verdict] = Future()
        image = captured(number, answer=answer)
        image = captured(number, answer=answer, content=content or image.content)
        self.source.intake.offer(image, patience_s=0.2)
        return answer

    def stop(self) -> None:
        self.judge.may_judge.set()
        self.station.stop()
        self.records.close()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def bench(folder: Path) -> Iterator[Bench]:
    """A station that stops with the test."""
    bench = Bench(folder)
    yield bench
    bench.stop()


def taken(image: CapturedImage | None, bench: Bench) -> None:
    """Wait until no image waits before the judge."""
    del image
    wait_until(lambda: not bench.source.intake._images)


def test_an_image_becomes_a_verdict_that_every_sink_gets(bench: Bench) -> None:
    other = MemorySink("other")
    bench.start(sinks=(other,))

    verdict = bench.offer().result(PATIENCE_S)

    wait_until(lambda: bool(bench.sink.ids and other.ids))
    assert bench.sink.ids == other.ids == [verdict.id]
    latest = bench.station.latest_image()
    assert latest is not None
    assert latest.verdict == verdict
    assert latest.heat_map_png().startswith(b"\x89PNG")


def test_a_station_removes_what_is_too_old_without_an_image(bench: Bench) -> None:
    bench.start()
    bench.offer().result(PATIENCE_S)
    wait_until(lambda: bench.records.waiting("table") == 0)
    bench.stop()
    bench.rules = replace(bench.rules, retention=timedelta(days=1))

    bench.start()

    wait_until(lambda: not bench.records.last(1))


def test_the_status_counts_what_happened(bench: Bench) -> None:
    bench.start()
    bench.offer().result(PATIENCE_S)
    wait_until(lambda: bench.records.waiting("table") == 0)

    status = bench.station.status()

    assert (status.detections, status.anomalous, len(status.last)) == (1, 1, 1)
    assert status.rate_per_s > 0
    assert status.latency_s is not None
    (source,), (sink,) = status.sources, status.sinks
    assert (source.is_connected, source.detections, source.dropped) == (True, 1, 0)
    assert (sink.is_connected, sink.delivered, sink.waiting) == (True, 1, 0)


def test_an_image_that_was_judged_is_answered_from_the_records(bench: Bench) -> None:
    bench.start()
    first = bench.offer().result(PATIENCE_S)

    assert bench.offer().result(PATIENCE_S) == first
    assert len(bench.judge.names) == 1


@pytest.mark.parametrize("content", [BROKEN, UNEXPECTED])
def test_an_image_that_cannot_be_judged_is_counted_and_the_next_one_goes_on(
    bench: Bench, content: bytes
) -> None:
    bench.start()

    answer = bench.offer(1, content=content)

    with pytest.raises(UnreadableError):
        answer.result(PATIENCE_S)
    assert bench.offer(2).result(PATIENCE_S).image_name == "plate 2.png"
    assert bench.records.counters()["source line-1", "failed"] == 1
    assert captured(1).id in bench.records.remembered("line-1")


def test_an_image_whose_model_is_away_is_neither_judged_nor_failed(bench: Bench) -> None:
    bench.start()

    with pytest.raises(JudgeAwayError):
        bench.offer(1, content=AWAY).result(PATIENCE_S)

    assert bench.records.remembered("line-1") == set()
    assert bench.records.counters() == {}


def test_the_newest_image_wins_and_the_others_are_counted(bench: Bench) -> None:
    bench.start(when_busy=WhenBusy.NEWEST_WINS)
    bench.judge.may_judge.clear()
    bench.offer(1)
    taken(None, bench)

    answers = [bench.offer(number) for number in (2, 3, 4)]
    bench.judge.may_judge.set()

    assert answers[2].result(PATIENCE_S).image_name == "plate 4.png"
    for answer in answers[:2]:
        with pytest.raises(BusyError, match="newer"):
            answer.result(PATIENCE_S)
    assert bench.judge.names == ["plate 1.png", "plate 4.png"]
    assert bench.records.counters()["source line-1", "dropped"] == 2


def test_a_source_that_drops_none_waits(bench: Bench) -> None:
    bench.start()
    bench.judge.may_judge.clear()
    bench.offer(1)
    taken(None, bench)
    bench.offer(2)

    with pytest.raises(BusyError, match="busy"):
        bench.offer(3)


def test_a_sink_that_is_away_gets_everything_when_it_is_back(bench: Bench) -> None:
    other = MemorySink("other")
    bench.sink.is_away = True
    bench.start(sinks=(other,))
    names = [bench.offer(number).result(PATIENCE_S).id for number in range(3)]
    wait_until(lambda: other.ids == names)
    assert bench.sink.ids == []

    bench.sink.is_away = False

    wait_until(lambda: bench.sink.ids == names)


def test_a_fault_of_a_sink_counts_as_away(bench: Bench) -> None:
    bench.sink.is_away, bench.sink.error = True, lambda: ZeroDivisionError("oh")
    bench.start()
    bench.offer().result(PATIENCE_S)
    wait_until(lambda: not bench.station.status().sinks[0].is_connected)

    bench.sink.is_away = False

    wait_until(lambda: len(bench.sink.ids) == 1)


def test_a_verdict_that_a_sink_refuses_does_not_hold_up_the_next(bench: Bench) -> None:
    bench.sink.is_away, bench.sink.error = True, lambda: VerdictRefusedError("no")
    bench.start()
    bench.offer(1).result(PATIENCE_S)
    wait_until(lambda: bench.records.waiting("table") == 0)
    bench.sink.is_away = False

    second = bench.offer(2).result(PATIENCE_S)

    wait_until(lambda: bench.sink.ids == [second.id])
    assert bench.station.status().sinks[0].dropped == 1


def test_a_full_sink_holds_the_judge_up(bench: Bench) -> None:
    bench.sink.is_away = True
    bench.start(sink=sink_config(limit=1))
    bench.offer(1).result(PATIENCE_S)

    waiting = bench.offer(2)
    with pytest.raises(BusyError):
        bench.offer(3)
    assert not waiting.done()
    bench.sink.is_away = False

    waiting.result(PATIENCE_S)


def test_records_that_cannot_be_written_hold_the_judge_up(bench: Bench) -> None:
    bench.start()
    bench.records._durable.execute("PRAGMA query_only = ON")

    answer = bench.offer()
    wait_until(lambda: bench.judge.names == ["plate 1.png"])
    assert not answer.done()
    bench.records._durable.execute("PRAGMA query_only = OFF")

    assert answer.result(PATIENCE_S).image_name == "plate 1.png"
    assert bench.judge.names == ["plate 1.png"]


def test_a_full_disk_costs_the_image_and_not_the_verdict(bench: Bench, folder: Path) -> None:
    bench.rules = replace(RULES, images=frozenset({ImageRule.ALL}))
    bench.start()
    (folder / "images").write_text("a file, so that nothing can be written below it")

    verdict = bench.offer().result(PATIENCE_S)

    assert verdict.image_path is None
    assert bench.records.counters()["station", "images not stored"] == 1


def test_a_station_that_stops_judges_what_waits_and_closes_its_sinks(folder: Path) -> None:
    bench = Bench(folder)
    bench.start()
    bench.judge.may_judge.clear()
    answers = [bench.offer(1)]
    taken(None, bench)
    answers.append(bench.offer(2))

    bench.stop()

    assert [answer.result(0).image_name for answer in answers] == ["plate 1.png", "plate 2.png"]
    assert bench.sink.is_closed
    assert not bench.station.is_running
