"""What the records store of drift: measures by hour, the watch of each source, and alarms.

All of it is written in the transaction of a verdict: a kill at any moment counts an image once.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from blemish.engine.normal_images import Comparison
from blemish.station.drift.alarms import Alarm, AlarmEvent, AlarmKind, AlarmStep
from blemish.station.drift.shares import ShareBand
from blemish.station.drift.watch import SourceWatch
from blemish.station.verdict import Verdict

HOURS_DAYS = 90
"""How long the measures of an hour are stored."""

MOST_ALARMS = 10_000
ANOMALOUS = "anomalous"

TABLES = """
CREATE TABLE IF NOT EXISTS hours (      -- sums of measures
  source TEXT NOT NULL,
  hour TEXT NOT NULL,                   -- its begin, in UTC
  name TEXT NOT NULL,
  images INTEGER NOT NULL,
  total REAL NOT NULL,
  PRIMARY KEY (source, hour, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS watches (source TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alarms (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  source TEXT NOT NULL,
  began_at TEXT NOT NULL,
  ended_at TEXT,
  message TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS alarm_events (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  alarm INTEGER NOT NULL,
  step TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS alarm_positions (  -- the last event that a sink has
  sink TEXT PRIMARY KEY,
  number INTEGER NOT NULL
) WITHOUT ROWID;
"""
_ALARM = "alarms.number, kind, source, began_at, ended_at, message"


@dataclass(frozen=True, kw_only=True)
class MeasuredHour:
    """The measures of one source in one hour."""

    source: str
    begin: datetime
    images: int
    #: measure -> mean; `anomalous` is the share of anomalies
    means: Mapping[str, float]


class DriftRecords:
    """Drift in the database of a station; any number of threads may use it."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        lock: threading.RLock,
        band: ShareBand | None,
    ) -> None:
        """Create the tables if there are none; whoever uses the connection holds the lock."""
        self._connection, self._lock, self._band = connection, lock, band
        for statement in TABLES.split(";\n"):
            connection.execute(statement)

    def add(
        self, connection: sqlite3.Connection, verdict: Verdict, comparison: Comparison | None
    ) -> None:
        """Count a new verdict, within the transaction that records it."""
        self._add_to_hour(connection, verdict, comparison)
        before = watch_of(connection, verdict.source)
        watch = before.add(
            comparison,
            model=f"{verdict.component} {verdict.component_version} {verdict.threshold:g}",
            is_anomalous=verdict.is_anomalous,
            band=self._band,
        )
        connection.execute(
            "INSERT OR REPLACE INTO watches VALUES (?, ?)",
            (verdict.source, json.dumps(watch.to_json())),
        )
        for kind in sorted(watch.alarms - before.alarms):
            number = connection.execute(
                "INSERT INTO alarms (kind, source, began_at, message) VALUES (?, ?, ?, ?)",
                (kind, verdict.source, _text(verdict.time), watch.message(kind, self._band)),
            ).lastrowid
            _add_event(connection, number, AlarmStep.BEGINS)
        for kind in sorted(before.alarms - watch.alarms):
            _end(connection, kind, verdict.source, at=verdict.time)

    def forget_others(self, sources: Collection[str], *, at: datetime) -> None:
        """End the alarms of all sources but these, and forget what is known of their images."""
        with self._lock, self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            active = connection.execute("SELECT kind, source FROM alarms WHERE ended_at IS NULL")
            for kind, source in active.fetchall():
                if source not in sources:
                    _end(connection, kind, source, at=at)
            for (source,) in connection.execute("SELECT source FROM watches").fetchall():
                if source not in sources:
                    connection.execute("DELETE FROM watches WHERE source = ?", (source,))

    def alarms(self, *, limit: int = 100, only_active: bool = False) -> list[Alarm]:
        """Return the newest alarms, the newest first."""
        with self._lock:
            return newest_alarms(self._connection, limit=limit, only_active=only_active)

    def hours(self, *, since: datetime) -> list[MeasuredHour]:
        """Return the measures of each source and hour, the oldest first."""
        with self._lock:
            return measured_hours(self._connection, since=since)

    def begin_events(self, sink: str) -> None:
        """Let a sink that is new get the events from now on."""
        with self._lock:
            self._connection.execute(
                "INSERT OR IGNORE INTO alarm_positions"
                " SELECT ?, coalesce(max(number), 0) FROM alarm_events",
                (sink,),
            )

    def pending_events(self, sink: str, *, limit: int) -> list[AlarmEvent]:
        """Return the events that a sink does not have, the oldest first."""
        with self._lock:
            rows = self._connection.execute(
                f"SELECT alarm_events.number, step, {_ALARM} FROM alarm_events"  # noqa: S608
                " JOIN alarms ON alarms.number = alarm_events.alarm"
                " WHERE alarm_events.number >"
                " (SELECT number FROM alarm_positions WHERE sink = ?)"
                " ORDER BY alarm_events.number LIMIT ?",
                (sink, limit),
            ).fetchall()
        return [
            AlarmEvent(number=number, step=AlarmStep(step), alarm=_alarm(row))
            for number, step, *row in rows
        ]

    def event_delivered(self, sink: str, number: int) -> None:
        """Remember that a sink has an event."""
        with self._lock:
            self._connection.execute(
                "UPDATE alarm_positions SET number = ? WHERE sink = ?", (number, sink)
            )

    def _add_to_hour(
        self, connection: sqlite3.Connection, verdict: Verdict, comparison: Comparison | None
    ) -> None:
        moment = verdict.time.astimezone(UTC)
        hour = _text(moment.replace(minute=0, second=0, microsecond=0))
        values = {"score": verdict.score, ANOMALOUS: float(verdict.is_anomalous)}
        if comparison is not None:
            values |= comparison.values
        connection.executemany(
            "INSERT INTO hours VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET"
            " images = images + 1, total = total + excluded.total",
            [(verdict.source, hour, name, value) for name, value in values.items()],
        )
        (images,) = connection.execute(
            "SELECT images FROM hours WHERE source = ? AND hour = ? AND name = ?",
            (verdict.source, hour, ANOMALOUS),
        ).fetchone()
        if images == 1:
            oldest = _text(moment - timedelta(days=HOURS_DAYS))
            connection.execute("DELETE FROM hours WHERE hour < ?", (oldest,))


def measured_hours(connection: sqlite3.Connection, *, since: datetime) -> list[MeasuredHour]:
    """Return the measures of each source and hour, the oldest first."""
    rows = connection.execute(
        "SELECT source, hour, name, images, total FROM hours WHERE hour >= ?"
        " ORDER BY hour, source, name",
        (_text(since),),
    ).fetchall()
    hours: dict[tuple[str, str], dict[str, tuple[int, float]]] = {}
    for source, hour, name, images, total in rows:
        hours.setdefault((source, hour), {})[name] = (images, total)
    return [
        MeasuredHour(
            source=source,
            begin=datetime.fromisoformat(hour),
            images=measures[ANOMALOUS][0],
            means={name: total / images for name, (images, total) in measures.items()},
        )
        for (source, hour), measures in hours.items()
    ]


def newest_alarms(
    connection: sqlite3.Connection, *, limit: int, only_active: bool = False
) -> list[Alarm]:
    """Return the newest alarms, the newest first."""
    condition = "WHERE ended_at IS NULL " if only_active else ""
    rows = connection.execute(
        f"SELECT {_ALARM} FROM alarms {condition}ORDER BY number DESC LIMIT ?",  # noqa: S608
        (limit,),
    ).fetchall()
    return [_alarm(row) for row in rows]


def watch_of(connection: sqlite3.Connection, source: str) -> SourceWatch:
    """Return what is known of the images of a source."""
    row = connection.execute("SELECT document FROM watches WHERE source = ?", (source,)).fetchone()
    return SourceWatch() if row is None else SourceWatch.from_json(json.loads(row[0]))


def _end(connection: sqlite3.Connection, kind: str, source: str, *, at: datetime) -> None:
    rows = connection.execute(
        "SELECT number FROM alarms WHERE kind = ? AND source = ? AND ended_at IS NULL",
        (kind, source),
    ).fetchall()
    for (number,) in rows:
        connection.execute("UPDATE alarms SET ended_at = ? WHERE number = ?", (_text(at), number))
        _add_event(connection, number, AlarmStep.ENDS)
    connection.execute(
        "DELETE FROM alarms WHERE ended_at IS NOT NULL AND number <="
        " (SELECT max(number) FROM alarms) - ?",
        (MOST_ALARMS,),
    )


def _add_event(connection: sqlite3.Connection, alarm: int | None, step: AlarmStep) -> None:
    connection.execute("INSERT INTO alarm_events (alarm, step) VALUES (?, ?)", (alarm, step))


def _alarm(row: Sequence[Any]) -> Alarm:
    number, kind, source, began_at, ended_at, message = row
    return Alarm(
        number=number,
        kind=AlarmKind(kind),
        source=source,
        began_at=datetime.fromisoformat(began_at),
        ended_at=None if ended_at is None else datetime.fromisoformat(ended_at),
        message=message,
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
