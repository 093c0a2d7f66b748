"""The progress of a training and the time that it may still take, from the steps that it logs.

Every step says how much of it is done, none how long it takes. The share of each step in a whole
training was measured on trainings with masks and the default settings. So the time left is an
estimate, which gets better as the training goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from blemish.console.language.messages import later, say
from blemish.service.training.log import TrainingStep

PARTS = {
    later("splitting off a test part"): 2,
    later("reading images"): 3,
    later("computing features"): 12,
    later("cross-validation"): 40,
    later("fitting to all images"): 3,
    later("segmentation head"): 32,
    later("writing the bundle"): 1,
    later("evaluation"): 6,
    later("writing the evaluation files"): 1,
}
"""Step -> its share of a training in per cent, in the order of the steps."""

_REPEATED = ("computing features", "cross-validation", "fitting to all images")
_RESOLUTION = ", resolution "
_TIMES = {1: 1, 2: 4}
"""Time of each resolution: the second has four times as many pixels."""


def _parts_of_two() -> dict[str, int]:
    """Return the parts of a training that tries a second resolution."""
    names = list(PARTS)
    start, end = names.index(_REPEATED[0]), names.index(_REPEATED[-1]) + 1
    twice = {
        f"{name}{_RESOLUTION}{number} of 2": times * PARTS[name]
        for number, times in _TIMES.items()
        for name in _REPEATED
    }
    before = {name: PARTS[name] for name in names[:start]}
    after = {name: PARTS[name] for name in names[end:]}
    return before | twice | after


PARTS_OF_TWO = _parts_of_two()
"""As `PARTS`, for trainings that try a second resolution; more than 100 together."""

CERTAIN_FROM = 0.07
"""The share from which on the time left can be estimated."""


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """The progress of a training."""

    #: the current step, in words for people
    step: str
    #: how much of the training is done, 0 to 1
    share: float
    #: None if it cannot be estimated
    left: timedelta | None


def progress_of(steps: Sequence[TrainingStep], *, now: datetime) -> TrainingProgress | None:
    """Return the progress of a training; None if it has not begun or logged anything yet."""
    began = max(
        (row for row, step in enumerate(steps) if step.text.startswith("begun")), default=None
    )
    if began is None:
        return None
    texts = {step.text for step in steps[began:]}
    parts = PARTS_OF_TWO if texts & (PARTS_OF_TWO.keys() - PARTS) else PARTS
    known = [step for step in steps[began:] if step.text in parts]
    if not known:
        return TrainingProgress(step=later("starting"), share=0.0, left=None)
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


def step_words(step: str) -> str:
    """Return the name of a step in the visitor's language."""
    name, of_two, number = step.partition(_RESOLUTION)
    if not of_two:
        return say(name)
    return say("{step}, resolution {number} of 2", step=say(name), number=number.split()[0])


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
        return say("Nothing is logged yet. Logs from before a restart are lost.")
    ends = [*(step.began_at for step in steps[1:]), now]
    return "\n".join(
        f"{'+' + duration_text(step.began_at - steps[0].began_at):>12}   {_step_text(step, end)}"
        for step, end in zip(steps, ends, strict=True)
    )


def _step_text(step: TrainingStep, end: datetime) -> str:
    if step.text not in PARTS and step.text not in PARTS_OF_TWO:
        return step.text
    return f"{step_words(step.text)}   ({duration_text(end - step.began_at)})"
