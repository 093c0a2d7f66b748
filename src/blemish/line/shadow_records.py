"""What a second model says about the images of a line, beside the verdicts of the first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blemish.engine.runtime import Detection
from blemish.station.schema import BUSY_S, DATABASE

MOST_COMPARED = 100_000
"""Images that are remembered; the oldest ones go first."""

_PRUNE_EVERY = 1_000
_TABLE = """
CREATE TABLE IF NOT EXISTS shadows (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,              -- of the verdict
  first_model TEXT NOT NULL,            -- "PROJECT VERSION"
  second_model TEXT NOT NULL,
  first_is_anomalous INTEGER NOT NULL,
  is_anomalous INTEGER NOT NULL,
  score REAL NOT NULL,
  threshold REAL NOT NULL
)
"""


@dataclass(frozen=True, kw_only=True)
class ModelPair:
    """The model that judges a line, and the one that judges silently, as "PROJECT VERSION"."""

    first: str
    second: str


@dataclass(frozen=True, kw_only=True)
class AgreementTable:
    """How often two models say what, in images."""

    both_ok: int = 0
    both_not_ok: int = 0
    #: only the first, or only the second model says not OK
    first_alone: int = 0
    second_alone: int = 0

    @property
    def images(self) -> int:
        """All that both have judged."""
        return self.both_ok + self.both_not_ok + self.first_alone + self.second_alone


@dataclass(frozen=True, kw_only=True)
class ShadowVerdict:
    """An image on which the models differ."""

    id: str
    first_is_anomalous: bool
    #: of the second model
    score: float
    threshold: float


class ShadowRecords:
    """The judgements of the second model; any thread may use it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, verdict_id: str, pair: ModelPair, *, first: Detection, second: Detection) -> None:
        """Record what both models say; a power cut may lose the newest."""
        with self._database() as database:
            if database is None:
                return
            number = database.execute(
                "INSERT OR REPLACE INTO shadows (id, first_model, second_model,"
                " first_is_anomalous, is_anomalous, score, threshold) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    verdict_id,
                    pair.first,
                    pair.second,
                    first.is_anomalous,
                    second.is_anomalous,
                    second.score,
                    second.threshold,
                ),
            ).lastrowid
            if number is not None and number % _PRUNE_EVERY == 0:
                database.execute("DELETE FROM shadows WHERE number <= ?", (number - MOST_COMPARED,))

    def table(self, pair: ModelPair) -> AgreementTable:
        """Count how often two models say what."""
        counts = {
            (bool(first), bool(second)): count
            for first, second, count in self._rows(
                "SELECT first_is_anomalous, is_anomalous, count(*) FROM shadows"
                " WHERE first_model = ? AND second_model = ? GROUP BY 1, 2",
                (pair.first, pair.second),
            )
        }
        return AgreementTable(
            both_ok=counts.get((False, False), 0),
            both_not_ok=counts.get((True, True), 0),
            first_alone=counts.get((True, False), 0),
            second_alone=counts.get((False, True), 0),
        )

    def differing(self, pair: ModelPair, *, limit: int) -> list[ShadowVerdict]:
        """Return the newest images on which two models differ, the newest first."""
        rows = self._rows(
            "SELECT id, first_is_anomalous, score, threshold FROM shadows"
            " WHERE first_model = ? AND second_model = ? AND first_is_anomalous != is_anomalous"
            " ORDER BY number DESC LIMIT ?",
            (pair.first, pair.second, limit),
        )
        return [
            ShadowVerdict(id=name, first_is_anomalous=bool(first), score=score, threshold=threshold)
            for name, first, score, threshold in rows
        ]

    def _rows(self, statement: str, values: Sequence[object]) -> list[Any]:
        with self._database() as database:
            return [] if database is None else database.execute(statement, values).fetchall()

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection | None]:
        """Open the database of the line; None before the line ran for the first time."""
        if not (self._folder / DATABASE).is_file():
            yield None
            return
        connection = sqlite3.connect(self._folder / DATABASE, timeout=BUSY_S)
        with closing(connection) as database:
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(_TABLE)
            with database:
                yield database
