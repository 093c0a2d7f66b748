from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from structlog.testing import capture_logs

from blemish.runners.housekeeper import Chore, Housekeeper
from blemish.storage.errors import DatabaseUnavailableError
from tests.unit.runners.waiting import eventually

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.s = 1_000.0

    def __call__(self) -> float:
        return self.s


def test_every_chore_is_done_at_the_start_and_then_in_its_turn() -> None:
    clock, done = Clock(), list[str]()

    def chore(name: str, every_s: float) -> Chore:
        def act(now: datetime) -> None:
            assert now == NOW
            done.append(name)

        return Chore(name=name, every_s=every_s, act=act)

    keeper = Housekeeper(
        [chore("often", 60), chore("seldom", 3_600)],
        now=lambda: NOW,
        monotonic=clock,
        look_s=0.001,
    )
    keeper.start()
    eventually(lambda: len(done) == 2)
    clock.s += 61
    eventually(lambda: len(done) == 3)
    clock.s += 3_600
    eventually(lambda: len(done) == 5)
    keeper.stop()

    assert done == ["often", "seldom", "often", "often", "seldom"]


def test_a_chore_that_fails_is_logged_and_keeps_no_other_from_being_done() -> None:
    clock, done = Clock(), list[datetime]()
    errors: list[Exception | None] = [OSError("one"), OSError("two"), KeyError("three"), None]
    errors.insert(2, DatabaseUnavailableError("the database logs it"))

    def fail(_: datetime) -> None:
        if error := errors[min(len(done), len(errors) - 1)]:
            raise error

    keeper = Housekeeper(
        [
            Chore(name="first", every_s=60, act=fail),
            Chore(name="second", every_s=60, act=done.append),
        ],
        now=lambda: NOW,
        monotonic=clock,
        look_s=0.001,
    )
    with capture_logs() as logs:
        keeper.start()
        while len(done) < len(errors):
            before = len(done)
            clock.s += 60
            eventually(partial(is_longer, done, before))
        keeper.stop()

    assert [(log["event"], log["chore"]) for log in logs] == [
        ("a chore failed", "first"),  # the second time it is the same kind of error
        ("a chore failed", "first"),
        ("a chore succeeds again", "first"),
    ]


def is_longer(items: list[datetime], length: int) -> bool:
    return len(items) > length


def test_one_that_was_not_started_can_be_stopped() -> None:
    Housekeeper([], now=lambda: NOW, monotonic=Clock()).stop()
