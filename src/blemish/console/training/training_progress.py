"""How far a training has come, and how long it may still take, from the steps it has told.

Each step says how much of it is done, none how long it takes. What share of a whole training each
step takes was measured on trainings with masks and the stock settings. So what is left is an
estimate, which gets better as the training goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from blemish.service.training.log import TrainingStep

PARTS = {
    "splitting off a test part": 2,
    "reading images": 3,
    "computing features": 12,
    "cross-validation": 40,
    "fitting to all images": 3,
    "segmentation head": 32,
    "writing the bundle": 1,
    "evaluation": 6,
    "writing the evaluation files": 1,
}
"""Step -> how much of a training it is, in per cent, in the order in which they come."""

_AT_EACH = ("computing features", "cross-validation", "fitting to all images")
_TIMES = {1: 1, 2: 4}
"""What each resolution takes, as its pixels: the second has twice as many a side."""


def _parts_of_two() -> dict[str, int]:
    """Return the parts of a training that tries a second resolution."""
    names = list(PARTS)
    start, end = names.index(_AT_EACH[0]), names.index(_AT_EACH[-1]) + 1
    twice = {
        f"{name}, resolution {number} of 2": times * PARTS[name]
        for number, times in _TIMES.items()
        for name in _AT_EACH
    }
    before, after = ({name: PARTS[name] for name in its} for its in (names[:start], names[end:]))
    return before | twice | after


PARTS_OF_TWO = _parts_of_two()
"""As `PARTS`, where a second resolution is tried; in their unit, more than 100 together."""

CERTAIN_FROM = 0.07
"""Before so much is done, what is left cannot be told."""


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """Where a training is."""

    #: the step it is in, in words for people
    step: str
    #: of all of it that is done, 0 to 1
    share: float
    #: None where it cannot be told
    left: timedelta | None


def progress_of(steps: Sequence[TrainingStep], *, now: datetime) -> TrainingProgress | None:
    """Return where a training is; None if it has not begun, or said nothing of itself yet."""
    began = max(
        (place for place, step in enumerate(steps) if step.text.startswith("begun")), default=None
    )
    if began is None:
        return None
    told = {step.text for step in steps[began:]}
    parts = PARTS_OF_TWO if told & (PARTS_OF_TWO.keys() - PARTS) else PARTS
    known = [step for step in steps[began:] if step.text in parts]
    if not known:
        return TrainingProgress(step="starting", share=0.0, left=None)
    last = known[-1]
    names = list(parts)
    before = sum(parts[name] for name in names[: names.index(last.text)])
    share = min(0.99, (before + parts[last.text] * (last.share or 0.0)) / sum(parts.values()))
    left = None
    if share >= CERTAIN_FROM:
        taken = last.reported_at - known[0].began_at
        whole = taken / share
        left = max(timedelta(), whole - (now - known[0].began_at))
    return TrainingProgress(step=last.text, share=share, left=left)


def duration_text(duration: timedelta) -> str:
    """Return a duration as people say it, such as "2 min 5 s"."""
    seconds = max(0, round(duration.total_seconds()))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def log_text(steps: Sequence[TrainingStep], *, now: datetime) -> str:
    """Return the steps of a training, one a line: when each began and how long it took."""
    if not steps:
        return "It has not said anything yet. What it said before a restart is not kept."
    ends = [*(step.began_at for step in steps[1:]), now]
    return "\n".join(
        f"{'+' + duration_text(step.began_at - steps[0].began_at):>12}   {_told(step, end)}"
        for step, end in zip(steps, ends, strict=True)
    )


def _told(step: TrainingStep, end: datetime) -> str:
    if step.text not in PARTS and step.text not in PARTS_OF_TWO:
        return step.text
    return f"{step.text}   ({duration_text(end - step.began_at)})"
