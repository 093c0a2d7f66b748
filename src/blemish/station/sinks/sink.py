"""What a station wants of a sink."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from blemish.station.drift.alarms import AlarmEvent
from blemish.station.verdict import Verdict


class Sink(Protocol):
    """Delivers verdicts to one destination.

    The station calls a sink from one thread, one verdict after another, and repeats a delivery that
    failed, with growing pauses. After a kill it repeats deliveries that it cannot know of, with the
    same id. A constructor only stores; a sink connects with its first delivery.
    """

    @property
    def name(self) -> str:
        """The name in the configuration; no two sinks share one."""
        ...

    def deliver(self, verdict: Verdict) -> None:
        """Deliver a verdict; return once the destination has it.

        It must return or raise within a bounded time, at most half a minute.

        Raises:
            SinkError: the destination cannot take it now; the message has the reason.
        """
        ...

    def close(self) -> None:
        """Release what the sink holds; no delivery comes any more."""
        ...


@runtime_checkable
class AlarmSink(Sink, Protocol):
    """A sink that may get alarms too, each begin and each end at least once, in order."""

    @property
    def takes_alarms(self) -> bool:
        """Whether it is configured to."""
        ...

    def deliver_alarm(self, event: AlarmEvent) -> None:
        """Deliver an event, as `deliver` does a verdict, with the same errors."""
        ...
