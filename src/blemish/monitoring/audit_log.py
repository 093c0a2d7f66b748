"""The audit log: one JSON line for each record, written by its own thread.

Adding a record never waits. A request continues even if its record cannot be written, because a
production line must not stop for it. Lost records are counted, logged, and reported in the audit
log itself once it can be written again.
"""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.monitoring.audit_files import AuditFiles

logger: FilteringBoundLogger = structlog.get_logger(__name__)

Record = Mapping[str, Any]

MAX_WAITING = 10_000
"""Most records that wait to be written; further ones are lost."""

PAUSE_S = 1.0
"""Interval of syncs, and of tries after a failure."""

WRITE = "write"

TIDY_S = 3_600.0
"""Interval of tidying, besides after each complete file."""

GATHER_S = 0.02
"""How long a record waits for others, because single writes cost more."""

BATCH = 500
"""Most records in one write."""


class AuditLog:
    """Writes records in the order of their arrival."""

    def __init__(
        self,
        files: AuditFiles,
        *,
        gap: Callable[[int], Record],
        max_waiting: int = MAX_WAITING,
    ) -> None:
        """`gap` makes the record that reports a number of lost records."""
        self._files = files
        self._gap = gap
        self._max_waiting = max_waiting
        self._changed = threading.Condition()
        self._waiting: deque[Record] = deque()
        self._stopping = False
        #: actions that fail at the moment
        self._failing: set[str] = set()
        self._lost = self._reported = 0
        self._reported_at = self._synced_at = self._tidied_at = -math.inf
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)

    @property
    def waiting(self) -> int:
        """Number of records that wait to be written."""
        return len(self._waiting)

    @property
    def lost(self) -> int:
        """Number of records lost since the start."""
        return self._lost

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Write the waiting records and end; those that cannot be written are lost."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident:
            self._thread.join()

    def add(self, record: Record) -> None:
        """Queue a record without blocking; it is lost if too many wait."""
        with self._changed:
            if len(self._waiting) >= self._max_waiting:
                self._lost += 1
            else:
                self._waiting.append(record)
                if len(self._waiting) == 1:
                    self._changed.notify()

    def lose(self) -> None:
        """Count a record that was not made as lost."""
        with self._changed:
            self._lost += 1

    def _run(self) -> None:
        stopping = False
        while not stopping:
            with self._changed:
                if WRITE in self._failing:
                    self._changed.wait_for(lambda: self._stopping, PAUSE_S)
                else:
                    self._changed.wait_for(lambda: self._waiting or self._stopping, PAUSE_S)
                if len(self._waiting) < BATCH:  # wait for more, to write them together
                    self._changed.wait_for(lambda: self._stopping, GATHER_S)
                stopping = self._stopping and len(self._waiting) <= BATCH
            self._write()
            self._keep_up()
            stopping = stopping or (self._stopping and WRITE in self._failing)
        self._end()

    def _write(self) -> None:
        """Write the oldest waiting records; if that fails, they continue to wait."""
        with self._changed:
            batch = list(itertools.islice(self._waiting, BATCH))
            missing = self._lost - self._reported
        reports = missing > 0 and (
            self._stopping or time.monotonic() - self._reported_at >= PAUSE_S
        )
        if reports:
            batch.append(self._gap(missing))
        if not batch:
            return
        lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in batch)
        if not self._has_done(WRITE, lambda: self._files.append(lines.encode())):
            return
        if reports:
            batch.pop()
            self._reported += missing
            self._reported_at = time.monotonic()
            logger.error("audit records were lost", count=missing)
        for _ in batch:
            self._waiting.popleft()

    def _keep_up(self) -> None:
        """Sync and tidy at their intervals."""
        now = time.monotonic()
        if now - self._synced_at >= PAUSE_S:
            self._synced_at = now
            self._has_done("sync", self._files.sync)
        if self._files.is_untidy or now - self._tidied_at >= TIDY_S:
            self._tidied_at = now
            self._has_done("tidy", self._files.tidy)

    def _end(self) -> None:
        self._has_done("close", self._files.close)
        if missing := len(self._waiting) + self._lost - self._reported:
            logger.error("audit records were lost", count=missing)

    def _has_done(self, what: str, act: Callable[[], None]) -> bool:
        """Do something with the files; log the first failure and the recovery."""
        try:
            act()
        except OSError as error:
            if what not in self._failing:
                logger.error("the audit log fails", to=what, reason=error.strerror)
            self._failing.add(what)
            return False
        if what in self._failing:
            logger.warning("the audit log works again", to=what)
            self._failing.remove(what)
        return True
