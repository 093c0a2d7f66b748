"""Alarms about drift: which there are, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class AlarmKind(StrEnum):
    """What an alarm is about."""

    DARK = "dark"
    BRIGHT = "bright"
    BLURRED = "blurred"
    MOVED = "moved"
    #: the share of anomalies leaves its band
    SHARE = "share"


class AlarmStep(StrEnum):
    """What happens to an alarm."""

    BEGINS = "begins"
    ENDS = "ends"


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """An alarm about the images of one source."""

    number: int
    kind: AlarmKind
    source: str
    began_at: datetime
    #: None while it lasts
    ended_at: datetime | None
    #: a sentence for people, of the moment when it began
    message: str

    def to_json(self) -> dict[str, Any]:
        """Return the alarm as pages have it."""
        return {
            "alarm": self.number,
            "kind": str(self.kind),
            "source": self.source,
            "began_at": _text(self.began_at),
            "ended_at": None if self.ended_at is None else _text(self.ended_at),
            "message": self.message,
        }


@dataclass(frozen=True, kw_only=True)
class AlarmEvent:
    """The begin or the end of an alarm, as sinks get it."""

    #: grows with every event of a station
    number: int
    step: AlarmStep
    alarm: Alarm

    def to_json(self) -> dict[str, Any]:
        """Return the event as JSON has it."""
        return {"event": str(self.step), "number": self.number, **self.alarm.to_json()}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
