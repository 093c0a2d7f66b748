"""The ages of data, by which it is deleted, measured by the clock of the data directory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.clock_history import MOST_UNKNOWN, TOLERANCE, ClockHistory
from blemish.storage.database.database import Database

logger: FilteringBoundLogger = structlog.get_logger(__name__)

Cutoff = Callable[[datetime, timedelta], datetime]
"""Returns the time, at a given time, before which data is older than an age."""

REPORTED_FOR = timedelta(days=1)
"""How long a jump is reported, unless the clock goes back."""


def plain_cutoff(now: datetime, age: timedelta) -> datetime:
    """Return the time an age ago, by a clock that never jumps."""
    return now - age


class DataAges:
    """Reads the clock, remembers its jumps, and measures ages without them."""

    def __init__(
        self,
        database: Database,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._database = database
        self._now = now
        #: in seconds; changes of the clock do not affect it
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._history: ClockHistory | None = None
        self._read_at_s = 0.0
        #: the clock when it jumped, when that was by `monotonic`, and how far it jumped
        self._jump: tuple[datetime, float, timedelta] | None = None

    def cutoff(self, now: datetime, age: timedelta) -> datetime:
        """Return the time before which data is older than `age`."""
        return self._read(now).cutoff(now, age)

    def write(self, now: datetime) -> None:
        """Store the newest reading of the clock."""
        history = self._read(now)
        with self._database.writing() as rows:
            rows.directory.set_clock(history.read_at, history.document())

    def problem(self) -> str | None:
        """Return a sentence about a jump of the clock in the last day."""
        self._read(self._now())
        if self._jump is None:
            return None
        at, at_s, by = self._jump
        if timedelta(seconds=self._monotonic() - at_s) > REPORTED_FOR:
            return None
        direction = "forward" if by > timedelta(0) else "back"
        return (
            f"the clock jumped {direction} by {abs(by)} to {at.isoformat(timespec='seconds')}; "
            "no data counts as older for it"
        )

    def _read(self, now: datetime) -> ClockHistory:
        with self._lock:
            now_s = self._monotonic()
            passed = timedelta(seconds=now_s - self._read_at_s)
            if self._history is None:
                before, passed_or_none = self._stored(now), None
            else:
                before, passed_or_none = self._history, passed
            self._history = before.read(now, passed=passed_or_none)
            self._read_at_s = now_s
            self._note_jump(before, now, passed_or_none, now_s)
            return self._history

    def _stored(self, now: datetime) -> ClockHistory:
        with self._database.reading() as rows:
            read_at, gaps = rows.directory.clock()
        return (
            ClockHistory(read_at=now)
            if read_at is None
            else ClockHistory.of_document(read_at, gaps)
        )

    def _note_jump(
        self, before: ClockHistory, now: datetime, passed: timedelta | None, now_s: float
    ) -> None:
        moved = now - before.read_at
        by = moved - (min(max(moved, timedelta(0)), MOST_UNKNOWN) if passed is None else passed)
        if abs(by) <= TOLERANCE:
            return
        total = by + (self._jump[2] if self._jump else timedelta(0))
        self._jump = None if abs(total) <= TOLERANCE else (now, now_s, by)
        logger.warning(
            "the clock jumped"
            if passed is not None
            else "the clock is not where the last run ended",
            from_time=before.read_at.isoformat(),
            to_time=now.isoformat(),
            unexplained_s=round(by.total_seconds()),
        )
