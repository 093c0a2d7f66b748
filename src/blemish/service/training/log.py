"""The steps of trainings, in memory, for people who watch them.

    with each report    note(model, "cross-validation, 40%")
    for a page          steps(model) -> the start of every step, and the progress of the last one

A model's StatusMessage holds the current step only. A restart starts the training again, so the
earlier steps are in no row.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

MAX_TRAININGS = 50
"""The most trainings in the log; the oldest go first."""

MAX_STEPS = 200
"""The most steps of a training in the log; the oldest go first."""

_SHARE = re.compile(r"(.+), (\d+)%")


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """A step of a training, or an event such as an interruption."""

    #: in words for people
    text: str
    began_at: datetime
    #: of the step that is done, 0 to 1, and the time of that report; None for an event
    share: float | None
    reported_at: datetime


class TrainingLog:
    """The reports of trainings since this server was started."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._steps: OrderedDict[int, deque[TrainingStep]] = OrderedDict()

    def note(self, model_id: int, text: str) -> None:
        """Add a report of a training, such as "cross-validation, 40%"."""
        match = _SHARE.fullmatch(text)
        step, share = (match[1], int(match[2]) / 100) if match else (text, None)
        at = self._now()
        with self._lock:
            steps = self._of(model_id)
            if steps and steps[-1].text == step:
                steps[-1] = replace(steps[-1], share=share, reported_at=at)
            else:
                steps.append(TrainingStep(text=step, began_at=at, share=share, reported_at=at))

    def steps(self, model_id: int) -> tuple[TrainingStep, ...]:
        """Return the steps of a training so far; none if this server has not started it."""
        with self._lock:
            return tuple(self._steps.get(model_id, ()))

    def _of(self, model_id: int) -> deque[TrainingStep]:
        if model_id not in self._steps:
            self._steps[model_id] = deque(maxlen=MAX_STEPS)
            while len(self._steps) > MAX_TRAININGS:
                self._steps.popitem(last=False)
        return self._steps[model_id]
