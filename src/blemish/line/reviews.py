"""Reviews: what people say about the uncertain images of a line.

They are in the database of the line, beside its verdicts, and durable when `answer` returns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from blemish.line.agreement import Agreement, agreements
from blemish.station.schema import BUSY_S, DATABASE


class ReviewAnswer(StrEnum):
    """What a reviewer says about a part."""

    OK = "ok"
    NOT_OK = "not-ok"
    #: the image waits for somebody else
    UNSURE = "unsure"


_TABLES = """
CREATE TABLE IF NOT EXISTS reviews (
  id TEXT NOT NULL,                     -- of the verdict
  reviewer TEXT NOT NULL,
  answer TEXT NOT NULL,
  reviewed_at TEXT NOT NULL,
  PRIMARY KEY (id, reviewer)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS added_reviews (  -- images that are in a dataset
  id TEXT PRIMARY KEY,
  dataset TEXT NOT NULL
) WITHOUT ROWID;
"""

_STORED = "image_file IS NOT NULL AND is_uncertain"
_UNDECIDED = "NOT EXISTS (SELECT 1 FROM reviews WHERE reviews.id = v.id AND answer != 'unsure')"
_OPEN_FOR = (
    "NOT EXISTS (SELECT 1 FROM reviews WHERE reviews.id = v.id AND reviewer = ?)"
    " AND NOT EXISTS (SELECT 1 FROM added_reviews WHERE added_reviews.id = v.id)"
)


@dataclass(frozen=True, kw_only=True)
class VerifiedImage:
    """A stored image on which all who decided say the same."""

    id: str
    is_anomalous: bool


@dataclass(frozen=True, kw_only=True)
class ReviewCounts:
    """How far the reviews of a line are."""

    #: uncertain images that nobody has decided on
    waiting: int
    #: verified images that are in no dataset yet
    verified: int
    #: images on which reviewers contradict each other
    disputed: int


class LineReviews:
    """The reviews of one line; any thread and any server may use it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def answer(self, verdict_id: str, reviewer: str, answer: ReviewAnswer, *, at: datetime) -> bool:
        """Record an answer in place of an earlier one; False if there is no such image."""
        with self._writing() as database:
            if database is None:
                return False
            inserted = database.execute(
                "INSERT OR REPLACE INTO reviews SELECT id, ?, ?, ? FROM verdicts WHERE id = ?",
                (reviewer, answer, at.astimezone(UTC).isoformat(), verdict_id),
            )
            return inserted.rowcount == 1

    def withdraw(self, verdict_id: str, reviewer: str) -> None:
        """Remove what a reviewer said."""
        with self._writing() as database:
            if database is not None:
                database.execute(
                    "DELETE FROM reviews WHERE id = ? AND reviewer = ?", (verdict_id, reviewer)
                )

    def next_id(self, reviewer: str, *, again: bool = False) -> str | None:
        """Return the oldest image that a reviewer has not answered.

        Args:
            reviewer: who asks.
            again: look at images that others have decided on, to compare the reviewers.
        """
        condition = f"NOT {_UNDECIDED}" if again else _UNDECIDED
        rows = self._rows(
            f"SELECT id FROM verdicts AS v WHERE {_STORED} AND {condition} AND {_OPEN_FOR}"  # noqa: S608
            " ORDER BY number LIMIT 1",
            [reviewer],
        )
        return rows[0][0] if rows else None

    def counts(self) -> ReviewCounts:
        """Return how far the reviews are."""
        waiting = self._rows(
            f"SELECT count(*) FROM verdicts AS v WHERE {_STORED} AND {_UNDECIDED}"  # noqa: S608
        )
        disputed = self._rows(
            "SELECT count(*) FROM (SELECT id FROM reviews WHERE answer != 'unsure'"
            " GROUP BY id HAVING count(DISTINCT answer) > 1)"
        )
        return ReviewCounts(
            waiting=waiting[0][0] if waiting else 0,
            verified=len(self.verified()),
            disputed=disputed[0][0] if disputed else 0,
        )

    def verified(self) -> list[VerifiedImage]:
        """Return the verified images that are in no dataset yet, the oldest first."""
        rows = self._rows(
            "SELECT v.id, min(answer) = 'not-ok' FROM verdicts AS v JOIN reviews USING (id)"
            " WHERE image_file IS NOT NULL AND answer != 'unsure'"
            " AND v.id NOT IN (SELECT id FROM added_reviews)"
            " GROUP BY v.id HAVING count(DISTINCT answer) = 1 ORDER BY number"
        )
        return [VerifiedImage(id=name, is_anomalous=bool(anomalous)) for name, anomalous in rows]

    def added(self, verdict_ids: Sequence[str], dataset: str) -> None:
        """Remember that images are in a dataset."""
        with self._writing() as database:
            if database is not None:
                database.executemany(
                    "INSERT OR REPLACE INTO added_reviews VALUES (?, ?)",
                    [(name, dataset) for name in verdict_ids],
                )

    def agreements(self) -> list[Agreement]:
        """Compare all pairs of reviewers."""
        rows = self._rows(
            "SELECT id, reviewer, answer = 'not-ok' FROM reviews WHERE answer != 'unsure'"
        )
        return agreements((image, reviewer, bool(answer)) for image, reviewer, answer in rows)

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        with self._writing() as database:
            return [] if database is None else database.execute(statement, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection | None]:
        """Open the database of the line; None before the line ran for the first time."""
        if not (self._folder / DATABASE).is_file():
            yield None
            return
        connection = sqlite3.connect(self._folder / DATABASE, timeout=BUSY_S)
        with closing(connection) as database:
            database.execute("PRAGMA synchronous = FULL")
            for statement in _TABLES.split(";\n"):
                database.execute(statement)
            with database:
                yield database
