"""Delivery: one thread for each sink, which repeats what failed until the sink has it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from blemish.station.errors import RecordsError, SinkError, VerdictRefusedError
from blemish.station.records import Records
from blemish.station.sinks.sink import Sink
from blemish.station.verdict import Verdict

logger = logging.getLogger(__name__)

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
        while not self.stopping.is_set():
            self.wake.clear()
            try:
                verdicts = self.records.pending(self.sink.name, limit=BATCH)
                if not verdicts:
                    self.wake.wait()
                elif not all(map(self._delivers, verdicts)):
                    self.stopping.wait(self._pause_s())
            except Exception as error:
                logger.exception("sink %s failed", self.sink.name)
                self._fail(f"{type(error).__name__}: {error}")
                self.stopping.wait(self._pause_s())
        self.sink.close()

    def _delivers(self, verdict: Verdict) -> bool:
        """Deliver one verdict; return whether the next one may follow."""
        if self.stopping.is_set():
            return False
        try:
            self._deliver(verdict)
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

    def _fail(self, reason: str) -> None:
        if not self._failures or reason != self.message:
            logger.warning("sink %s takes no verdict: %s", self.sink.name, reason)
        self._failures += 1
        self.is_connected, self.message = False, reason

    def _pause_s(self) -> float:
        return min(
            self.longest_pause_s, self.first_pause_s * 2.0 ** min(max(self._failures - 1, 0), 16)
        )
