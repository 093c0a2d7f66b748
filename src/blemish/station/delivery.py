"""Delivery: one thread for each sink, which repeats what failed until the sink has it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from blemish.station.drift.alarms import AlarmEvent
from blemish.station.errors import RecordsError, SinkError, VerdictRefusedError
from blemish.station.records import Records
from blemish.station.sinks.sink import AlarmSink, Sink
from blemish.station.verdict import Verdict

logger = logging.getLogger(__name__)

Delivery = Callable[[], None]

BATCH = 100
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0


@dataclass(eq=False, kw_only=True)
class SinkWorker:
    """Delivers the verdicts that wait for one sink, oldest first."""

    sink: Sink
    records: Records
    stopping: threading.Event
    first_pause_s: float = FIRST_PAUSE_S
    longest_pause_s: float = LONGEST_PAUSE_S
    is_connected: bool = True
    message: str = ""
    #: set when there is a new verdict
    wake: threading.Event = field(default_factory=threading.Event)
    _failures: int = 0

    def run(self) -> None:
        """Deliver until the station stops."""
        is_registered = False
        while not self.stopping.is_set():
            self.wake.clear()
            try:
                if not is_registered and (alarm_sink := self._alarm_sink) is not None:
                    self.records.drift.begin_events(alarm_sink.name)
                is_registered = True
                deliveries = [*self._alarm_deliveries(), *self._verdict_deliveries()]
                if not deliveries:
                    self.wake.wait()
                elif not all(map(self._delivers, deliveries)):
                    self.stopping.wait(self._pause_s())
            except Exception as error:
                logger.exception("sink %s failed", self.sink.name)
                self._fail(f"{type(error).__name__}: {error}")
                self.stopping.wait(self._pause_s())
        self.sink.close()

    @property
    def _alarm_sink(self) -> AlarmSink | None:
        sink = self.sink
        return sink if isinstance(sink, AlarmSink) and sink.takes_alarms else None

    def _verdict_deliveries(self) -> Iterator[Delivery]:
        for verdict in self.records.pending(self.sink.name, limit=BATCH):
            yield partial(self._deliver, verdict)

    def _alarm_deliveries(self) -> Iterator[Delivery]:
        sink = self._alarm_sink
        if sink is not None:
            for event in self.records.drift.pending_events(sink.name, limit=BATCH):
                yield partial(self._deliver_alarm, sink, event)

    def _delivers(self, delivery: Delivery) -> bool:
        """Make one delivery; return whether the next one may follow."""
        if self.stopping.is_set():
            return False
        try:
            delivery()
        except (SinkError, RecordsError) as error:
            self._fail(str(error))
            return False
        if self._failures:
            logger.info("sink %s takes verdicts again", self.sink.name)
        self._failures, self.is_connected, self.message = 0, True, ""
        return True

    def _deliver(self, verdict: Verdict) -> None:
        try:
            self.sink.deliver(verdict)
        except VerdictRefusedError as error:
            logger.error("sink %s refuses verdict %s: %s", self.sink.name, verdict.id, error)
            self.records.refused(self.sink.name, verdict.id)
        else:
            self.records.delivered(self.sink.name, verdict.id)

    def _deliver_alarm(self, sink: AlarmSink, event: AlarmEvent) -> None:
        try:
            sink.deliver_alarm(event)
        except VerdictRefusedError as error:
            logger.error("sink %s refuses alarm event %d: %s", sink.name, event.number, error)
        self.records.drift.event_delivered(sink.name, event.number)

    def _fail(self, reason: str) -> None:
        if not self._failures or reason != self.message:
            logger.warning("sink %s takes no verdict: %s", self.sink.name, reason)
        self._failures += 1
        self.is_connected, self.message = False, reason

    def _pause_s(self) -> float:
        return min(
            self.longest_pause_s, self.first_pause_s * 2.0 ** min(max(self._failures - 1, 0), 16)
        )
