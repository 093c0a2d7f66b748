"""The lines of the log about a database that does not answer: one when that begins, one at its end.

Many fail in an outage, again and again; whoever does need not say why.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.storage.errors import DatabaseUnavailableError

logger: FilteringBoundLogger = structlog.get_logger(__name__)


class OutageLog:
    """Logs the outages that the transactions of a process notice."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        #: what fails: a database that only reads answers readers
        self._failing: set[str] = set()
        self._began_at = 0.0

    def fails(self, kind: str) -> bool:
        """Return whether the last transaction of a kind failed."""
        return kind in self._failing

    def note_failure(self, kind: str, error: DatabaseUnavailableError) -> None:
        """Note that a transaction failed; the first failure of all is logged."""
        with self._lock:
            is_first = not self._failing
            self._failing.add(kind)
            if is_first:
                self._began_at = self._monotonic()
        if is_first:
            logger.error("the database does not answer, or takes no changes", reason=str(error))

    def note_success(self, kind: str) -> None:
        """Note that a transaction of a kind that failed succeeds; the last such one is logged."""
        with self._lock:
            if kind not in self._failing:
                return
            self._failing.remove(kind)
            if self._failing:
                return
            away_s = self._monotonic() - self._began_at
        logger.warning("the database answers again", away_s=round(away_s, 1))
