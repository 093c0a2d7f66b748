"""The drift of a line, read beside the process that records it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from blemish.station.drift.alarms import Alarm
from blemish.station.drift.drift_records import (
    MeasuredHour,
    measured_hours,
    newest_alarms,
    watch_of,
)
from blemish.station.drift.watch import SourceWatch
from blemish.station.schema import BUSY_S, DATABASE


class LineDrift:
    """Measures by hour, and alarms."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def hours(self, *, since: datetime) -> list[MeasuredHour]:
        """Return the measures of each source and hour, the oldest first."""
        with self._reading() as database:
            return [] if database is None else measured_hours(database, since=since)

    def alarms(self, *, limit: int, only_active: bool = False) -> list[Alarm]:
        """Return the newest alarms, the newest first."""
        with self._reading() as database:
            if database is None:
                return []
            return newest_alarms(database, limit=limit, only_active=only_active)

    def watch(self, source: str) -> SourceWatch:
        """Return what is known of the images of a source."""
        with self._reading() as database:
            return SourceWatch() if database is None else watch_of(database, source)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """Open the records; None before the line ran for the first time."""
        if not (self._folder / DATABASE).is_file():
            yield None
            return
        with closing(sqlite3.connect(self._folder / DATABASE, timeout=BUSY_S)) as database:
            has_tables = database.execute(
                "SELECT count(*) FROM sqlite_master WHERE name IN ('hours', 'alarms', 'watches')"
            ).fetchone()
            database.execute("PRAGMA query_only = ON")
            yield database if has_tables[0] == 3 else None
