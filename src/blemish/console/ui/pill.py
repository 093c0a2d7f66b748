"""The pill: a word or two on a colour, such as the status of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nicegui import ui

from blemish.console.language.messages import say
from blemish.console.ui.frame import text
from blemish.domain.detection_jobs import DetectionJobStatus
from blemish.domain.entities import ModelStatus
from blemish.domain.lifecycle import (
    JOB_IN_PROGRESS,
    JOB_WORDS,
    MODEL_FAILED,
    MODEL_IN_PROGRESS,
    MODEL_WORDS,
)

Look = Literal["", "good", "bad", "busy", "warning", "normal", "anomaly"]


@dataclass(frozen=True)
class PillContent:
    """What a pill shows."""

    words: str
    look: Look = ""


def model_status(status: str) -> PillContent:
    """Return the pill of a model's status."""
    known = ModelStatus(status)
    look: Look = "good"
    if known in MODEL_IN_PROGRESS:
        look = "busy"
    elif known in MODEL_FAILED:
        look = "bad"
    return PillContent(say(MODEL_WORDS[known]), look)


def trial_status(status: str) -> PillContent:
    """Return the pill of a trial's status."""
    known = DetectionJobStatus(status)
    look: Look = "bad" if known is DetectionJobStatus.FAILED else "good"
    return PillContent(say(JOB_WORDS[known]), "busy" if known in JOB_IN_PROGRESS else look)


def pill(words: str, look: Look = "") -> None:
    """Draw a pill that stays as it is."""
    text(words, classes=f"pill {look}")


class ChangingPill:
    """A pill whose content changes while the page is open."""

    def __init__(self) -> None:
        self._label = ui.label().classes("pill").props("role=status")

    def show(self, content: PillContent) -> None:
        """Show something else."""
        self._label.text = content.words
        self._label.classes(replace=f"pill {content.look}")
