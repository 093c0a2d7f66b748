"""How trainings went, step by step: kept in memory for who watches them.

    with each report    note(model, "cross-validation, 40%")
    for a page          steps(model) -> when each step began, and how far the last one is

A model's StatusMessage says only where its training is now. The steps before are of no use after a
restart, which begins the training anew; so no row has them.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

MAX_TRAININGS = 50
"""Trainings whose steps are kept, the last ones."""

MAX_STEPS = 200
"""Steps of a training that are kept, the last ones."""

_SHARE = re.compile(r"(.+), (\d+)%")


@dataclass(frozen=True, kw_only=True)
class TrainingStep:
    """A step of a training, or something that happened to it."""

    #: in words for people
    text: str
    began_at: datetime
    #: of the step that is done, 0 to 1, and when that was said; None where nothing is said of it
    share: float | None
    told_at: datetime


class TrainingLog:
    """What trainings have said of themselves since this server was started."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._steps: OrderedDict[int, deque[TrainingStep]] = OrderedDict()

    def note(self, model_id: int, text: str) -> None:
        """Keep what a training says, such as "cross-validation, 40%"."""
        told = _SHARE.fullmatch(text)
        step, share = (told[1], int(told[2]) / 100) if told else (text, None)
        at = self._now()
        with self._lock:
            steps = self._of(model_id)
            if steps and steps[-1].text == step:
                steps[-1] = replace(steps[-1], share=share, told_at=at)
            else:
                steps.append(TrainingStep(text=step, began_at=at, share=share, told_at=at))

    def steps(self, model_id: int) -> tuple[TrainingStep, ...]:
        """Return the steps of a training so far; none if it has not begun here."""
        with self._lock:
            return tuple(self._steps.get(model_id, ()))

    def _of(self, model_id: int) -> deque[TrainingStep]:
        if model_id not in self._steps:
            self._steps[model_id] = deque(maxlen=MAX_STEPS)
            while len(self._steps) > MAX_TRAININGS:
                self._steps.popitem(last=False)
        return self._steps[model_id]
