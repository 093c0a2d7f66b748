from __future__ import annotations

from datetime import timedelta

from structlog.testing import capture_logs

from blemish.service.data_ages import DataAges
from tests.unit.house import House

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


class Timer:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.s = 50.0

    def __call__(self) -> float:
        return self.s


def ages_of(house: House, timer: Timer) -> DataAges:
    return DataAges(house.database, now=house.clock, monotonic=timer)


def test_a_clock_that_jumps_is_logged_and_reported_until_it_is_back(house: House) -> None:
    timer = Timer()
    ages = ages_of(house, timer)
    quiet = ages.problem()
    timer.s += 60
    house.clock.advance(60)

    with capture_logs() as logs:
        house.clock.advance(730 * 86_400)
        jumped = ages.problem()
    house.clock.advance(-730 * 86_400)
    with capture_logs() as back_logs:
        back = ages.problem()

    assert quiet is None
    assert jumped is not None
    assert jumped.startswith("the clock jumped forward by 730 days")
    assert [log["event"] for log in (*logs, *back_logs)] == ["the clock jumped"] * 2
    assert back is None


def test_a_jump_is_reported_for_a_day(house: House) -> None:
    timer = Timer()
    ages = ages_of(house, timer)
    ages.problem()
    house.clock.advance(40 * 86_400)
    early = ages.problem()
    for _ in range(25):
        timer.s += 3_600
        house.clock.advance(3_600)
        late = ages.problem()

    assert early is not None
    assert late is None


def test_the_next_server_knows_the_jumps(house: House) -> None:
    timer = Timer()
    ages = ages_of(house, timer)
    before = house.clock()
    ages.write(before)
    ahead = house.clock.advance(730 * 86_400)
    ages.write(ahead)

    cutoff = ages_of(house, Timer()).cutoff(ahead, 90 * DAY)

    assert cutoff == before - 90 * DAY


def test_of_two_servers_the_one_whose_clock_jumps_ages_nothing_for_either(house: House) -> None:
    """Both write the one row; whichever wrote last, and whichever starts again, ages are true."""
    clock, ahead, timer = house.clock, 730 * DAY, Timer()
    right, jumping = ages_of(house, timer), ages_of(house, timer)
    right.write(clock())
    jumping.write(clock())

    for last in ("the jumping one", "the right one"):
        timer.s += 60
        clock.advance(60)
        now = clock()
        writes = [(right, now), (jumping, now + ahead)]
        for ages, shown in writes if last == "the jumping one" else writes[::-1]:
            ages.write(shown)
        starts_right, starts_jumping = ages_of(house, Timer()), ages_of(house, Timer())

        for ages, shown in (
            (right, now),
            (jumping, now + ahead),
            (starts_right, now),
            (starts_jumping, now + ahead),
        ):
            cutoff = ages.cutoff(shown, 90 * DAY)
            assert now - 90 * DAY - MINUTE <= cutoff <= now - 89 * DAY, last
