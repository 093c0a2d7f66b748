"""What trainings say of themselves, kept while the server runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

from blemish.service.training.log import MAX_STEPS, MAX_TRAININGS, TrainingLog


def log() -> TrainingLog:
    seconds = count()
    began = datetime(2026, 1, 2, tzinfo=UTC)
    return TrainingLog(now=lambda: began + timedelta(seconds=next(seconds)))


def test_a_step_is_kept_once_with_how_far_it_is() -> None:
    kept = log()
    for text in ("begun", "reading images, 10%", "reading images, 90%", "evaluation, 5%"):
        kept.note(1, text)

    begun, reading, evaluation = kept.steps(1)

    assert (begun.text, begun.share) == ("begun", None)
    assert (reading.text, reading.share) == ("reading images", 0.9)
    assert reading.reported_at - reading.began_at == timedelta(seconds=1)
    assert evaluation.share == 0.05


def test_of_another_training_nothing_is_known() -> None:
    kept = log()
    kept.note(1, "begun")

    assert kept.steps(2) == ()


def test_no_more_is_kept_than_may_be() -> None:
    kept = log()
    for number in range(MAX_STEPS + 5):
        kept.note(0, f"step {number}")
    assert len(kept.steps(0)) == MAX_STEPS

    for model in range(1, MAX_TRAININGS + 1):
        kept.note(model, "begun")
    assert kept.steps(0) == ()
