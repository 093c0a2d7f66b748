"""Reading the audit log from its end, one page at a time.

A position is the time of the last entry of a page, and how many matching entries of that second
were shown: `2026-03-01T12:00:00Z.3`. So pages stay as they are while records are added.
"""

from __future__ import annotations

import gzip
import heapq
import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import chain
from pathlib import Path

from blemish.domain.audit_search import (
    TIME_FORMAT,
    AuditEntry,
    AuditFilter,
    AuditResults,
    audit_entry,
)
from blemish.domain.errors import ValidationError
from blemish.monitoring.audit_files import NAME, day_of, is_of_commands, number_of

PAGE = 50
"""Entries of a page."""

MOST_READ = 50_000
"""Records that one search reads: a second or two. The next page goes on from there."""


class AuditSearch:
    """Searches the files of one server."""

    def __init__(self, folder: Path, *, most_read: int = MOST_READ) -> None:
        self._folder = folder
        self._most_read = most_read

    def page(self, wanted: AuditFilter, *, position: str | None) -> AuditResults:
        """Return the page that begins after a position, or the first one.

        Raises:
            ValidationError: the position is none of ours.
        """
        before, skipped = _parsed(position)
        entries: list[AuditEntry] = []
        second: datetime | None = None
        matching = last_shown = 0  # entries of the second that match, and those of them on pages
        for number, entry in enumerate(self._entries(wanted, before)):
            if entry.at != second:
                if number >= self._most_read:
                    return AuditResults(
                        entries=tuple(entries),
                        next_position=_position(entry.at, 0),
                        read_back_to=second,
                    )
                second, matching = entry.at, 0
            if not wanted.matches(entry):
                continue
            if len(entries) == PAGE:
                return AuditResults(
                    entries=tuple(entries), next_position=_position(entries[-1].at, last_shown)
                )
            matching += 1
            if entry.at != before or matching > skipped:
                entries.append(entry)
                last_shown = matching
        return AuditResults(entries=tuple(entries), next_position=None)

    def _entries(self, wanted: AuditFilter, before: datetime | None) -> Iterator[AuditEntry]:
        """Yield the entries of the wanted days from a time on backwards."""
        days: dict[date, list[Path]] = defaultdict(list)
        for path in self._folder.iterdir():
            if NAME.fullmatch(path.name) and _is_wanted(day_of(path), wanted, before):
                days[day_of(path)].append(path)
        for day in sorted(days, reverse=True):
            paths = sorted(days[day], key=number_of, reverse=True)
            of_calls = chain.from_iterable(
                map(_backwards, (path for path in paths if not is_of_commands(path)))
            )
            of_commands = chain.from_iterable(map(_backwards, filter(is_of_commands, paths)))
            for entry in heapq.merge(of_calls, of_commands, key=_time, reverse=True):
                if before is None or entry.at <= before:
                    yield entry


def _is_wanted(day: date, wanted: AuditFilter, before: datetime | None) -> bool:
    return (
        (before is None or day <= before.date())
        and (wanted.first_day is None or day >= wanted.first_day)
        and (wanted.last_day is None or day <= wanted.last_day)
    )


def _backwards(path: Path) -> Iterator[AuditEntry]:
    """Yield the entries of a file from its end; a file that was just removed has none."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError):
        return
    end = len(data)
    while end > 0:
        start = data.rfind(b"\n", 0, end - 1) + 1
        entry = _entry(data[start:end])
        if entry is not None:
            yield entry
        end = start


def _entry(line: bytes) -> AuditEntry | None:
    """Return the entry of a line; None for one that a power cut truncated."""
    try:
        return audit_entry(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _time(entry: AuditEntry) -> datetime:
    return entry.at


def _position(at: datetime, skipped: int) -> str:
    return f"{at.strftime(TIME_FORMAT)}.{skipped}"


def _parsed(position: str | None) -> tuple[datetime | None, int]:
    if position is None:
        return None, 0
    time, _, skipped = position.partition(".")
    try:
        return datetime.strptime(time, TIME_FORMAT).replace(tzinfo=UTC), int(skipped)
    except ValueError:
        raise ValidationError(f"{position!r:.100} is no position in the audit log.") from None
