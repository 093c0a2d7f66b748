"""The history of a line: its recorded verdicts, selected and in pages."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from blemish.domain.errors import ValidationError
from blemish.station.schema import BUSY_S, DATABASE
from blemish.station.stored_images import IMAGES
from blemish.station.verdict import Verdict

OK, NOT_OK, UNCERTAIN = "ok", "not-ok", "uncertain"
VERDICTS = (OK, NOT_OK, UNCERTAIN)
PAGE = 48
_NUMBER = re.compile(r"[0-9]{1,18}")
"""SQLite has integers of 64 bits."""

_COLUMNS = "number, document, is_uncertain, image_file, heat_map_file, mask_file"
_VERDICT = {OK: "NOT is_anomalous", NOT_OK: "is_anomalous", UNCERTAIN: "is_uncertain"}


@dataclass(frozen=True, kw_only=True)
class HistoryFilter:
    """Which verdicts are wanted; None and "" mean all."""

    since: datetime | None = None
    until: datetime | None = None
    #: one of `VERDICTS`
    verdict: str = ""
    lowest_score: float | None = None
    highest_score: float | None = None
    anomaly_type: str = ""
    #: "PROJECT VERSION"
    model: str = ""
    only_stored: bool = False

    def condition(self) -> tuple[str, list[object]]:
        """Return a condition of SQL and what its question marks stand for."""
        parts: list[tuple[str, object]] = []
        if self.since is not None:
            parts.append(("judged_at >= ?", _text(self.since)))
        if self.until is not None:
            parts.append(("judged_at < ?", _text(self.until)))
        if self.lowest_score is not None:
            parts.append(("score >= ?", self.lowest_score))
        if self.highest_score is not None:
            parts.append(("score <= ?", self.highest_score))
        if self.model:
            parts.append(("model = ?", self.model))
        if self.anomaly_type:
            has_type = (
                "is_anomalous AND EXISTS (SELECT 1 FROM json_each(document, '$.anomalies')"
                " WHERE json_extract(value, '$.name') = ?)"
            )
            parts.append((has_type, self.anomaly_type))
        conditions = [text for text, _ in parts]
        if self.verdict:
            conditions.append(_VERDICT[self.verdict])
        if self.only_stored:
            conditions.append("image_file IS NOT NULL")
        return " AND ".join(conditions) or "1", [value for _, value in parts]


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """A recorded verdict."""

    #: in the order of judging
    number: int
    verdict: Verdict
    is_uncertain: bool

    @property
    def position(self) -> str:
        """Where the next page begins."""
        return f"{_text(self.verdict.time)}/{self.number}"


@dataclass(frozen=True, kw_only=True)
class VerdictCount:
    """How many images were judged, and how many of them are anomalous."""

    images: int
    anomalous: int


class LineHistory:
    """Reads the records of a line, beside the process that writes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def page(
        self, wanted: HistoryFilter, *, before: str = "", limit: int = PAGE
    ) -> list[HistoryEntry]:
        """Return verdicts, the newest first; `before` is the position of the last one known.

        Raises:
            ValidationError: there is no such position.
        """
        condition, values = wanted.condition()
        if before:
            moment, _, number = before.rpartition("/")
            if _NUMBER.fullmatch(number) is None:
                raise ValidationError(
                    f"before is {before[:60]!r}; it must be the position that a page ended with."
                )
            condition += " AND (judged_at, number) < (?, ?)"
            values += [moment, int(number)]
        return self._entries(
            f"WHERE {condition} ORDER BY judged_at DESC, number DESC LIMIT ?", [*values, limit]
        )

    def entries(self, wanted: HistoryFilter) -> Iterator[HistoryEntry]:
        """Yield all verdicts, the newest first, a page at a time."""
        before = ""
        while entries := self.page(wanted, before=before, limit=500):
            yield from entries
            before = entries[-1].position

    def newest(self, limit: int) -> list[HistoryEntry]:
        """Return the newest verdicts, the newest first."""
        return self._entries("ORDER BY number DESC LIMIT ?", [limit])

    def entry(self, verdict_id: str) -> HistoryEntry | None:
        """Return a verdict by its id."""
        entries = self._entries("WHERE id = ?", [verdict_id])
        return entries[0] if entries else None

    def count(self, wanted: HistoryFilter) -> VerdictCount:
        """Return how many verdicts there are."""
        condition, values = wanted.condition()
        with self._reading() as database:
            if database is None:
                return VerdictCount(images=0, anomalous=0)
            images, anomalous = database.execute(
                f"SELECT count(*), coalesce(sum(is_anomalous), 0) FROM verdicts WHERE {condition}",  # noqa: S608
                values,
            ).fetchone()
        return VerdictCount(images=images, anomalous=anomalous)

    def models(self) -> list[str]:
        """Return the models of the last verdicts, as "PROJECT VERSION"."""
        return self._texts("SELECT DISTINCT model FROM (SELECT model FROM verdicts %s)")

    def anomaly_types(self) -> list[str]:
        """Return the anomaly types in the last verdicts."""
        return self._texts(
            "SELECT DISTINCT json_extract(value, '$.name')"
            " FROM (SELECT document FROM verdicts %s), json_each(document, '$.anomalies')"
        )

    def _texts(self, statement: str) -> list[str]:
        with self._reading() as database:
            if database is None:
                return []
            newest = "ORDER BY number DESC LIMIT 10000"
            return sorted(text for (text,) in database.execute(statement % newest))

    def _entries(self, rest: str, values: list[object]) -> list[HistoryEntry]:
        with self._reading() as database:
            if database is None:
                return []
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM verdicts {rest}",  # noqa: S608 - the texts are ours
                values,
            ).fetchall()
        return [self._entry(*row) for row in rows]

    def _entry(
        self, number: int, document: str, is_uncertain: int, *names: str | None
    ) -> HistoryEntry:
        image, heat_map, mask = (
            None if name is None else self._folder / IMAGES / name for name in names
        )
        verdict = replace(
            Verdict.from_json(json.loads(document)),
            image_path=image,
            heat_map_path=heat_map,
            mask_path=mask,
        )
        return HistoryEntry(number=number, verdict=verdict, is_uncertain=bool(is_uncertain))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """Open the records; None if there are none yet."""
        if not (self._folder / DATABASE).is_file():
            yield None
            return
        with closing(sqlite3.connect(self._folder / DATABASE, timeout=BUSY_S)) as database:
            database.execute("PRAGMA query_only = ON")
            yield database


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
