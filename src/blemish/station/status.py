"""The state of a station, as its page and its log show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from blemish.station.drift.alarms import Alarm
from blemish.station.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class SourceStatus:
    """A source, and the images that it gave; counts include earlier runs."""

    name: str
    is_connected: bool
    #: why it is not connected
    message: str
    detections: int
    #: images that newer ones replaced
    dropped: int
    #: images that could not be judged: damaged ones, or of another size
    failed: int


@dataclass(frozen=True, kw_only=True)
class SinkStatus:
    """A sink, and the verdicts that it got; counts include earlier runs."""

    name: str
    #: whether the last delivery succeeded
    is_connected: bool
    #: why the last delivery failed
    message: str
    delivered: int
    waiting: int
    #: verdicts that were dropped at the bound of the queue, or that it refused
    dropped: int


@dataclass(frozen=True, kw_only=True)
class StationStatus:
    """A station at one moment; counts include earlier runs."""

    started_at: datetime
    component: str
    component_version: str
    detections: int
    anomalous: int
    #: images a second, of the last minute
    rate_per_s: float
    #: median time from the image to its record, of the last images; None before the first
    latency_s: float | None
    #: verdicts, the newest first
    last: tuple[Verdict, ...]
    sources: tuple[SourceStatus, ...]
    sinks: tuple[SinkStatus, ...]
    #: those that last, the newest first
    alarms: tuple[Alarm, ...] = ()
