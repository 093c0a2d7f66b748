"""Counts since the beginning of the shift."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo

from blemish.line.history import VerdictCount


def shift_beginning(now: datetime, shifts: Sequence[time], zone: tzinfo | None) -> datetime:
    """Return when the shift of a moment began.

    Args:
        now: the moment, with a zone.
        shifts: when shifts begin, in order.
        zone: whose clocks count; None for those of this machine.
    """
    local = now.astimezone(zone)
    today = [shift for shift in shifts if shift <= local.time()]
    day = local.date() if today else local.date() - timedelta(days=1)
    shift = today[-1] if today else shifts[-1]
    naive = datetime.combine(day, shift)
    return naive.replace(tzinfo=zone) if zone else naive.astimezone()


def shift_times(texts: Iterable[str]) -> tuple[time, ...]:
    """Return times of the day like "06:00", in order.

    Raises:
        ValueError: a text is none.
    """
    return tuple(sorted(time.fromisoformat(text) for text in texts))


class ShiftCounter:
    """Counts verdicts since the beginning of the shift; one thread uses it at a time."""

    def __init__(
        self,
        *,
        shifts: Sequence[time],
        zone: tzinfo | None,
        count_since: Callable[[datetime], VerdictCount],
        now: Callable[[], datetime],
    ) -> None:
        self._shifts, self._zone = shifts, zone
        self._count_since = count_since
        self._now = now
        self.begin = datetime.fromtimestamp(0, UTC)
        self.images = self.anomalous = 0

    def restore(self) -> None:
        """Count what is on record."""
        self.begin = shift_beginning(self._now(), self._shifts, self._zone)
        count = self._count_since(self.begin)
        self.images, self.anomalous = count.images, count.anomalous

    def renew(self) -> bool:
        """Begin anew with a new shift; return whether there is one."""
        begin = shift_beginning(self._now(), self._shifts, self._zone)
        if begin == self.begin:
            return False
        self.begin, self.images, self.anomalous = begin, 0, 0
        return True

    def add(self, *, is_anomalous: bool) -> None:
        """Count a verdict of now."""
        self.renew()
        self.images += 1
        self.anomalous += is_anomalous
