"""How far a training is, told from its steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from blemish.console.training.training_progress import (
    PARTS,
    PARTS_OF_TWO,
    duration_text,
    log_text,
    progress_of,
)
from blemish.service.training.log import TrainingStep

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def step(text: str, after_s: float, share: float | None = None, told_s: float = 0) -> TrainingStep:
    at = BEGAN + timedelta(seconds=after_s)
    reported_at = at + timedelta(seconds=told_s)
    return TrainingStep(text=text, began_at=at, share=share, reported_at=reported_at)


def test_a_training_that_waits_has_no_progress() -> None:
    assert progress_of([], now=BEGAN) is None


def test_a_training_that_has_said_nothing_is_starting() -> None:
    found = progress_of([step("begun", 0)], now=BEGAN)

    assert found is not None
    assert (found.step, found.share, found.left) == ("starting", 0.0, None)


def test_what_is_left_is_told_from_the_share_that_is_done() -> None:
    before = sum(list(PARTS.values())[: list(PARTS).index("cross-validation")])
    half = (before + 0.5 * PARTS["cross-validation"]) / 100
    steps = [
        step("begun", 0),
        step("reading images", 10),
        step("cross-validation", 20, 0.5, told_s=10),
    ]

    found = progress_of(steps, now=BEGAN + timedelta(seconds=32))

    assert found is not None
    assert found.step == "cross-validation"
    assert found.share == pytest.approx(half)
    assert found.left is not None
    assert found.left.total_seconds() == pytest.approx(20 / half - 22)


def test_a_second_resolution_takes_most_of_a_training() -> None:
    shares = []
    for number in (1, 2):
        steps = [
            step("begun", 0),
            step("reading images", 1),
            *(step(f"cross-validation, resolution {k} of 2", 5 * k, 0.5) for k in range(1, number)),
            step(f"cross-validation, resolution {number} of 2", 20, 1.0),
        ]
        found = progress_of(steps, now=BEGAN + timedelta(seconds=30))
        assert found is not None
        assert found.step.endswith(f"resolution {number} of 2")
        shares.append(found.share)

    assert shares[0] < 0.25
    assert shares[1] > 0.75
    assert list(PARTS_OF_TWO)[-1] == list(PARTS)[-1]


def test_only_the_attempt_that_runs_counts() -> None:
    steps = [step("begun", 0), step("evaluation", 9, 1.0), step("begun anew, attempt 2", 10)]

    found = progress_of(steps, now=BEGAN + timedelta(seconds=11))

    assert found is not None
    assert found.share == 0


def test_the_parts_are_a_whole() -> None:
    assert sum(PARTS.values()) == 100


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.2, "0 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (3_720, "1 h 2 min")],
)
def test_durations_are_told_as_people_do(seconds: float, told: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == told


def test_the_log_says_when_each_step_began_and_how_long_it_took() -> None:
    steps = [step("begun", 0), step("evaluation", 3, 0.1)]

    lines = log_text(steps, now=BEGAN + timedelta(seconds=5)).split("\n")

    assert [line.split() for line in lines] == [
        ["+0", "s", "begun"],
        ["+3", "s", "evaluation", "(2", "s)"],
    ]
    assert "Logs from before a restart are lost" in log_text([], now=BEGAN)
