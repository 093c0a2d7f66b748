from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, cast

import pytest

from blemish.engine.runtime import Detector
from blemish.runners.line import WAITING_PER_UNIT, Line, Turn
from blemish.service.detection.detection import ModelBusyError
from tests.unit.runners.waiting import PATIENCE_S, eventually

DETECTOR = cast("Detector", "the detector")


class Clock:
    """Seconds that pass only while a turn is taken."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Work:
    """Counts how many have a detector at once, and waits until they may end."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.lock = threading.Lock()
        self.now = 0
        self.begun: list[object] = []

    def turn(self, name: object = None) -> Turn[object]:
        return Turn(lambda detector: self._do(name, detector))

    def _do(self, name: object, detector: object) -> object:
        with self.lock:
            self.now += 1
            self.begun.append(name)
        assert self.may_end.wait(PATIENCE_S)
        with self.lock:
            self.now -= 1
        return name, detector


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def work() -> Iterator[Work]:
    made = Work()
    yield made
    made.may_end.set()


def added(line: Line, *turns: Turn[Any]) -> list[Future[Any]]:
    for turn in turns:
        line.add(turn)
    return [turn.future for turn in turns]


@pytest.mark.parametrize("units", [1, 3])
def test_as_many_turns_are_taken_at_once_as_there_are_units(
    work: Work, clock: Clock, units: int
) -> None:
    line = Line(DETECTOR, units=units, clock=clock)

    futures = added(line, *(work.turn(number) for number in range(7)))
    eventually(lambda: work.now == units)
    threading.Event().wait(0.05)
    at_once = work.now
    work.may_end.set()

    assert at_once == units
    assert [future.result(PATIENCE_S) for future in futures] == [
        (number, DETECTOR) for number in range(7)
    ]
    assert units > 1 or work.begun == list(range(7))


@pytest.mark.parametrize("units", [1, 2])
def test_the_line_has_an_end_and_takes_more_when_some_are_through(
    work: Work, clock: Clock, units: int
) -> None:
    line = Line(DETECTOR, units=units, clock=clock)
    futures = added(line, *(work.turn() for _ in range(units * (1 + WAITING_PER_UNIT))))

    with pytest.raises(ModelBusyError):
        line.add(work.turn())

    work.may_end.set()
    for future in futures:
        future.result(PATIENCE_S)
    eventually(lambda: line._count == 0)
    (late,) = added(line, work.turn("late"))
    assert late.result(PATIENCE_S) == ("late", DETECTOR)


@pytest.mark.parametrize("units", [1, 2])
def test_who_finds_the_line_full_learns_how_long_it_takes(
    work: Work, clock: Clock, units: int
) -> None:
    line = Line(DETECTOR, units=units, clock=clock)

    def take_half_a_second(_: object) -> None:
        clock.now += 0.5

    for _ in range(3):
        (future,) = added(line, Turn(take_half_a_second))
        future.result(PATIENCE_S)
        eventually(lambda: line._count == 0)
    added(line, *(work.turn() for _ in range(units * (1 + WAITING_PER_UNIT))))

    with pytest.raises(ModelBusyError) as caught:
        line.add(work.turn())

    assert caught.value.wait_s == pytest.approx(0.5 * (1 + WAITING_PER_UNIT))


def test_the_newest_turns_count_most_in_how_long_one_takes(clock: Clock) -> None:
    line = Line(DETECTOR, units=1, clock=clock)

    def take(seconds: float) -> None:
        def pass_time(_: object) -> None:
            clock.now += seconds

        (future,) = added(line, Turn(pass_time))
        future.result(PATIENCE_S)
        eventually(lambda: line._count == 0)

    take(10.0)
    for _ in range(50):
        take(1.0)

    assert line._turn_s == pytest.approx(1.0, abs=0.1)


def test_what_goes_wrong_is_raised_to_who_waits_and_takes_no_unit_with_it(clock: Clock) -> None:
    line = Line(DETECTOR, units=1, clock=clock)

    def fail(_: object) -> None:
        raise ValueError("no image")

    failing, following = added(line, Turn(fail), Turn(lambda detector: detector))

    with pytest.raises(ValueError, match="no image"):
        failing.result(PATIENCE_S)
    assert following.result(PATIENCE_S) == DETECTOR


def test_a_turn_that_was_cancelled_is_left_out(work: Work, clock: Clock) -> None:
    line = Line(DETECTOR, units=1, clock=clock)
    first, cancelled, last = added(line, *(work.turn(name) for name in ("a", "b", "c")))
    eventually(lambda: work.now == 1)

    assert cancelled.cancel()
    work.may_end.set()

    assert last.result(PATIENCE_S) == ("c", DETECTOR)
    assert first.result(PATIENCE_S) == ("a", DETECTOR)
    with pytest.raises(CancelledError):
        cancelled.result(PATIENCE_S)
    assert work.begun == ["a", "c"]


def test_a_closed_line_still_takes_those_that_wait(work: Work, clock: Clock) -> None:
    line = Line(DETECTOR, units=1, clock=clock)
    futures = added(line, *(work.turn(number) for number in range(3)))

    line.close()
    work.may_end.set()

    assert [future.result(PATIENCE_S) for future in futures] == [
        (number, DETECTOR) for number in range(3)
    ]
