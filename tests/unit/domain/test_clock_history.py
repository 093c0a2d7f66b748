from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from blemish.domain.clock_history import ClockHistory

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
HISTORY = ClockHistory(read_at=START)


def test_without_a_jump_the_cutoff_is_an_age_ago() -> None:
    history = HISTORY.read(START + HOUR, passed=HOUR).read(START + 2 * HOUR, passed=2 * HOUR)

    assert history.cutoff(START + 2 * HOUR, DAY) == START + 2 * HOUR - DAY


def test_a_jump_forward_makes_nothing_older() -> None:
    ahead = START + 730 * DAY

    history = HISTORY.read(ahead, passed=timedelta(seconds=5))

    assert history.cutoff(ahead, 90 * DAY) == START + timedelta(seconds=5) - 90 * DAY
    assert history.cutoff(ahead + 91 * DAY, 90 * DAY) == ahead + DAY


def test_a_stop_counts_as_at_most_a_day_however_often_the_server_starts() -> None:
    ahead = START + 730 * DAY

    history = HISTORY.read(ahead, passed=None).read(ahead + HOUR, passed=None)

    assert history.cutoff(ahead + HOUR, 90 * DAY) == START + DAY + HOUR - 90 * DAY


def test_after_a_jump_there_and_back_ages_are_as_before() -> None:
    second = timedelta(seconds=1)

    there = HISTORY.read(START + 730 * DAY, passed=second)
    back = there.read(START + 2 * second, passed=second)

    assert back.cutoff(START + 2 * second, 90 * DAY) == START + 2 * second - 90 * DAY
    assert back.cutoff(START + 800 * DAY, 90 * DAY) == START + 710 * DAY


@pytest.mark.parametrize("passed", [None, timedelta(seconds=5)])
def test_an_empty_battery_makes_nothing_older(passed: timedelta | None) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    now = START + HOUR

    behind = HISTORY.read(epoch, passed=None)
    right_again = behind.read(now, passed=passed)

    assert behind.cutoff(epoch, DAY) == epoch - DAY
    assert right_again.cutoff(now, 2 * DAY) <= epoch
    assert right_again.cutoff(now + 3 * DAY, 2 * DAY) == now + DAY


def test_gaps_of_the_past_stay_when_the_clock_is_set_back_a_little() -> None:
    stopped = HISTORY.read(START + 20 * DAY, passed=None)

    history = stopped.read(START + 20 * DAY + HOUR, passed=HOUR).read(START + 20 * DAY, passed=HOUR)

    assert history.gaps == stopped.gaps


def test_a_history_survives_being_stored() -> None:
    history = HISTORY.read(START + 20 * DAY, passed=None).read(START + 90 * DAY, passed=HOUR)

    stored = json.loads(json.dumps(history.document()))

    assert ClockHistory.of_document(history.read_at, stored) == history


def test_no_age_reaches_behind_the_first_year() -> None:
    first = datetime(1, 1, 3, tzinfo=UTC)

    assert ClockHistory(read_at=first).cutoff(first, 455 * DAY) < first
