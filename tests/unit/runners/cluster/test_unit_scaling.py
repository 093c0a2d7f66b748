from __future__ import annotations

import pytest

from blemish.domain.entities import InferenceUnits
from blemish.runners.cluster.unit_scaling import ADD_AFTER_S, BREAK_S, REMOVE_AFTER_S, UnitScaling


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scaling(clock: Clock) -> UnitScaling:
    return UnitScaling(InferenceUnits(minimum=1, maximum=3), clock=clock)


def begin(scaling: UnitScaling, requests: int) -> None:
    for _ in range(requests):
        scaling.begin()


def test_a_unit_is_added_when_images_have_waited_for_long(
    scaling: UnitScaling, clock: Clock
) -> None:
    begin(scaling, 2)

    clock.now += ADD_AFTER_S - 0.1
    before = scaling.wanted(1)
    clock.now += 0.1

    assert (before, scaling.wanted(1)) == (1, 2)
    clock.now += REMOVE_AFTER_S
    assert scaling.wanted(2) == 2  # nothing waits, and nothing is idle


def test_an_image_that_waits_now_and_then_adds_no_unit(scaling: UnitScaling, clock: Clock) -> None:
    for _ in range(5):
        begin(scaling, 2)
        clock.now += ADD_AFTER_S / 2
        scaling.end()
        scaling.end()
        clock.now += BREAK_S + 0.1

    assert scaling.wanted(1) == 1


def test_images_that_wait_again_and_again_add_a_unit(scaling: UnitScaling, clock: Clock) -> None:
    for _ in range(10):
        begin(scaling, 2)
        clock.now += ADD_AFTER_S / 10
        scaling.end()
        scaling.end()
        clock.now += BREAK_S / 10

    assert scaling.wanted(1) == 2


def test_no_unit_is_added_while_one_is_started_nor_beyond_the_most(
    scaling: UnitScaling, clock: Clock
) -> None:
    begin(scaling, 9)
    units = 1
    for _ in range(5):
        clock.now += ADD_AFTER_S
        units = scaling.wanted(units)
        clock.now += ADD_AFTER_S
        assert scaling.wanted(units - 1) == units

    assert units == 3


def test_an_idle_unit_is_removed_after_a_while_down_to_the_least(
    scaling: UnitScaling, clock: Clock
) -> None:
    begin(scaling, 3)
    for units in (1, 2):
        clock.now += ADD_AFTER_S
        scaling.wanted(units)
    for _ in range(3):
        scaling.end()

    wanted = []
    for _ in range(4):
        clock.now += REMOVE_AFTER_S
        wanted.append(scaling.wanted(3))

    assert wanted == [2, 1, 1, 1]


def test_other_bounds_hold_at_once(scaling: UnitScaling) -> None:
    scaling.change(InferenceUnits(minimum=4, maximum=None))

    assert scaling.wanted(1) == 4
