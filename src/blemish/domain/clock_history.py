"""Ages that a jump of the clock does not change.

The history of a clock is a list of gaps: stretches of time that the clock skipped. An age counts
the time between the gaps, and of each gap only the time that really passed. If that is unknown,
because the server did not run, a gap counts as at most one day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

TOLERANCE = timedelta(minutes=1)
"""Smaller steps of the clock count as time that passed."""

MOST_UNKNOWN = timedelta(days=1)
"""Most time that a stop of the server counts as."""

MOST_GAPS = 200
"""Gaps in a history; older ones are forgotten."""

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class ClockGap:
    """A stretch of time that the clock skipped."""

    start: datetime
    end: datetime
    #: how much of it really passed, as far as is known
    passed: timedelta


@dataclass(frozen=True, kw_only=True)
class ClockHistory:
    """The newest time that was read from a clock, and its gaps, the oldest first."""

    read_at: datetime
    gaps: tuple[ClockGap, ...] = ()

    def read(self, now: datetime, *, passed: timedelta | None) -> ClockHistory:
        """Return the history after another reading.

        Args:
            now: what the clock shows.
            passed: time since the last reading by another measure; None if it is unknown.
        """
        moved = now - self.read_at
        if moved < -TOLERANCE:
            return ClockHistory(read_at=now, gaps=_before(self.gaps, now))
        really = min(moved, MOST_UNKNOWN) if passed is None else passed
        if moved - really <= TOLERANCE:
            return ClockHistory(read_at=now, gaps=self.gaps)
        gap = ClockGap(start=self.read_at, end=now, passed=really)
        return ClockHistory(read_at=now, gaps=(*self.gaps, gap)[-MOST_GAPS:])

    def cutoff(self, now: datetime, age: timedelta) -> datetime:
        """Return the time before which data is older than `age`."""
        end, rest = now, age
        for gap in reversed(self.gaps):
            if gap.end > end:
                continue
            if end - gap.end >= rest:
                break
            rest -= end - gap.end
            end = gap.start
            if gap.passed >= rest:
                return end
            rest -= gap.passed
        return end - rest if end - EARLIEST > rest else EARLIEST

    def document(self) -> list[list[str | float]]:
        """Return the gaps as JSON; `of_document` reads it."""
        return [
            [gap.start.isoformat(), gap.end.isoformat(), gap.passed.total_seconds()]
            for gap in self.gaps
        ]

    @classmethod
    def of_document(cls, read_at: datetime, gaps: Sequence[Sequence[Any]]) -> Self:
        """Return the history that `document` wrote."""
        return cls(
            read_at=read_at,
            gaps=tuple(
                ClockGap(
                    start=datetime.fromisoformat(start),
                    end=datetime.fromisoformat(end),
                    passed=timedelta(seconds=passed_s),
                )
                for start, end, passed_s in gaps
            ),
        )


def _before(gaps: Sequence[ClockGap], now: datetime) -> tuple[ClockGap, ...]:
    """Return the gaps up to now: a clock that was set back may pass the others again."""
    return tuple(
        ClockGap(start=gap.start, end=min(gap.end, now), passed=gap.passed)
        for gap in gaps
        if min(gap.end, now) - gap.start > gap.passed + TOLERANCE
    )
