from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any

import pytest

from blemish.runners.request_queue import WAITING_PER_UNIT, RequestQueue
from blemish.service.detection.detection import ModelBusyError
from tests.unit.runners.waiting import PATIENCE_S, eventually


class Clock:
    """Seconds that pass only while a request is carried out."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Work:
    """Counts how many requests are carried out at once, and waits until they may end."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.lock = threading.Lock()
        self.now = 0
        self.started: list[object] = []

    def request(self, name: object = None) -> Callable[[], object]:
        return partial(self._do, name)

    def _do(self, name: object) -> object:
        with self.lock:
            self.now += 1
            self.started.append(name)
        assert self.may_end.wait(PATIENCE_S)
        with self.lock:
            self.now -= 1
        return name


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def work() -> Iterator[Work]:
    made = Work()
    yield made
    made.may_end.set()


def submitted(queue: RequestQueue, *requests: Callable[[], Any]) -> list[Future[Any]]:
    return [queue.submit(request) for request in requests]


@pytest.mark.parametrize("units", [1, 3])
def test_as_many_requests_are_taken_at_once_as_there_are_units(
    work: Work, clock: Clock, units: int
) -> None:
    queue = RequestQueue(units=units, clock=clock)

    futures = submitted(queue, *(work.request(number) for number in range(7)))
    eventually(lambda: work.now == units)
    threading.Event().wait(0.05)
    at_once = work.now
    work.may_end.set()

    assert at_once == units
    assert [future.result(PATIENCE_S) for future in futures] == list(range(7))
    assert units > 1 or work.started == list(range(7))


@pytest.mark.parametrize("units", [1, 2])
def test_the_queue_has_an_end_and_takes_more_when_some_are_through(
    work: Work, clock: Clock, units: int
) -> None:
    queue = RequestQueue(units=units, clock=clock)
    futures = submitted(queue, *(work.request() for _ in range(units * (1 + WAITING_PER_UNIT))))

    with pytest.raises(ModelBusyError):
        queue.submit(work.request())

    work.may_end.set()
    for future in futures:
        future.result(PATIENCE_S)
    eventually(lambda: queue._count == 0)
    (late,) = submitted(queue, work.request("late"))
    assert late.result(PATIENCE_S) == "late"


@pytest.mark.parametrize("units", [1, 2])
def test_who_finds_the_queue_full_learns_how_long_it_takes(
    work: Work, clock: Clock, units: int
) -> None:
    queue = RequestQueue(units=units, clock=clock)

    def take_half_a_second() -> None:
        clock.now += 0.5

    for _ in range(3):
        (future,) = submitted(queue, take_half_a_second)
        future.result(PATIENCE_S)
        eventually(lambda: queue._count == 0)
    submitted(queue, *(work.request() for _ in range(units * (1 + WAITING_PER_UNIT))))

    with pytest.raises(ModelBusyError) as caught:
        queue.submit(work.request())

    assert caught.value.wait_s == pytest.approx(0.5 * (1 + WAITING_PER_UNIT))


def test_the_newest_requests_count_most_in_how_long_one_takes(clock: Clock) -> None:
    queue = RequestQueue(units=1, clock=clock)

    def take(seconds: float) -> None:
        def pass_time() -> None:
            clock.now += seconds

        (future,) = submitted(queue, pass_time)
        future.result(PATIENCE_S)
        eventually(lambda: queue._count == 0)

    take(10.0)
    for _ in range(50):
        take(1.0)

    assert queue._request_s == pytest.approx(1.0, abs=0.1)


def test_what_goes_wrong_is_raised_to_who_waits_and_takes_no_unit_with_it(clock: Clock) -> None:
    queue = RequestQueue(units=1, clock=clock)

    def fail() -> None:
        raise ValueError("no image")

    failing, following = submitted(queue, fail, lambda: 7)

    with pytest.raises(ValueError, match="no image"):
        failing.result(PATIENCE_S)
    assert following.result(PATIENCE_S) == 7


def test_a_request_that_was_cancelled_is_left_out(work: Work, clock: Clock) -> None:
    queue = RequestQueue(units=1, clock=clock)
    first, cancelled, last = submitted(queue, *(work.request(name) for name in ("a", "b", "c")))
    eventually(lambda: work.now == 1)

    assert cancelled.cancel()
    work.may_end.set()

    assert last.result(PATIENCE_S) == "c"
    assert first.result(PATIENCE_S) == "a"
    with pytest.raises(CancelledError):
        cancelled.result(PATIENCE_S)
    assert work.started == ["a", "c"]


def test_a_closed_queue_still_takes_those_that_wait(work: Work, clock: Clock) -> None:
    queue = RequestQueue(units=1, clock=clock)
    futures = submitted(queue, *(work.request(number) for number in range(3)))

    queue.close()
    work.may_end.set()

    assert [future.result(PATIENCE_S) for future in futures] == list(range(3))
