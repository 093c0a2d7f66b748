"""Rows of dataset entries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from blemish.domain.entities import DatasetEntry, ImageStats, Label
from blemish.domain.line_notes import LineNotes, notes_of_json
from blemish.domain.manifest import object_ref, parse_line
from blemish.storage.database.tables import DATASETS, ENTRIES

BATCH = 1_000
"""Entries that are written, or read, at once."""

BATCH_CHARACTERS = 4 * 1024 * 1024
"""Characters of lines that are written at once."""

_REPLACE = (
    update(ENTRIES)
    .where(
        ENTRIES.c.dataset_id == bindparam("of_dataset"),
        ENTRIES.c.source_ref == bindparam("known_ref"),
    )
    .values(
        {
            name: bindparam(name)
            for name in ("label", "created_at", "line", "anomaly_types", "notes")
        }
    )
)
# Built once: to build a statement takes longer than to run it.
_STATS = select(DATASETS.c.images, DATASETS.c.normal_images, DATASETS.c.anomaly_images).where(
    DATASETS.c.id == bindparam("of_dataset")
)
_ADD_TO_STATS = (
    update(DATASETS)
    .where(DATASETS.c.id == bindparam("of_dataset"))
    .values(
        images=DATASETS.c.images + bindparam("more_images"),
        normal_images=DATASETS.c.normal_images + bindparam("more_normal"),
        anomaly_images=DATASETS.c.anomaly_images + bindparam("more_anomalies"),
    )
)
_NOTES = (
    select(ENTRIES.c.notes, func.count().label("lines"))
    .where(ENTRIES.c.dataset_id == bindparam("of_dataset"), ENTRIES.c.notes.is_not(None))
    .group_by(ENTRIES.c.notes)
)


def _distinct_types() -> Select[Any]:
    """Return a statement that finds each set of anomaly types by one step in its index."""
    mine = ENTRIES.c.dataset_id == bindparam("of_dataset")
    first = select(func.min(ENTRIES.c.anomaly_types).label("types")).where(
        mine, ENTRIES.c.anomaly_types.is_not(None)
    )
    walk = first.cte("walk", recursive=True)
    following = (
        select(func.min(ENTRIES.c.anomaly_types))
        .where(mine, ENTRIES.c.anomaly_types > walk.c.types)
        .scalar_subquery()
    )
    walk = walk.union_all(select(following).where(walk.c.types.is_not(None)))
    return select(walk.c.types).where(walk.c.types.is_not(None))


_TYPES = _distinct_types()
# in PostgreSQL, whose index has no room for long texts
_TYPES_BY_SCAN = (
    select(ENTRIES.c.anomaly_types)
    .where(ENTRIES.c.dataset_id == bindparam("of_dataset"), ENTRIES.c.anomaly_types.is_not(None))
    .distinct()
)


class Entries:
    """The entries of datasets, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, dataset_id: int, entries: Iterable[DatasetEntry], *, now: datetime) -> None:
        """Add entries at the end; one of a known image replaces that line, where it stands.

        The iterable is consumed in batches; of several entries of an image the last one counts.
        An entry whose line has no date gets the date of now.
        """
        this = DATASETS.c.id == dataset_id
        position = self._connection.scalars(select(DATASETS.c.last_position).where(this)).one()
        remaining = iter(entries)
        more: Counter[Label | None] = Counter()
        while batch := _batch(remaining):
            by_ref = {str(entry.image): entry for entry in batch}
            known = self._labels(dataset_id, by_ref)
            new = [ref for ref in by_ref if ref not in known]
            more.update(entry.label for entry in by_ref.values())
            more.subtract(known.values())
            if known:
                self._connection.execute(
                    _REPLACE,
                    [
                        {"of_dataset": dataset_id, "known_ref": ref} | _values(by_ref[ref], now)
                        for ref in known
                    ],
                )
            if new:
                self._connection.execute(
                    insert(ENTRIES),
                    [
                        {"dataset_id": dataset_id, "position": at, "source_ref": ref}
                        | _values(by_ref[ref], now)
                        for at, ref in enumerate(new, start=position + 1)
                    ],
                )
            position += len(new)
        self._connection.execute(update(DATASETS).where(this).values(last_position=position))
        self._add_to_stats(dataset_id, more)

    def unknown(self, dataset_id: int, refs: Iterable[str]) -> list[str]:
        """Return those of the addresses that are of no image of the dataset, in their order."""
        remaining = iter(refs)
        unknown: list[str] = []
        while batch := list(islice(remaining, BATCH)):
            known = self._labels(dataset_id, batch)
            unknown += [ref for ref in batch if ref not in known]
        return unknown

    def remove(self, dataset_id: int, refs: Iterable[str]) -> None:
        """Remove the entries of these images; the others keep their positions."""
        remaining = iter(refs)
        more: Counter[Label | None] = Counter()
        while batch := list(islice(remaining, BATCH)):
            more.subtract(self._labels(dataset_id, batch).values())
            self._connection.execute(
                delete(ENTRIES).where(
                    ENTRIES.c.dataset_id == dataset_id, ENTRIES.c.source_ref.in_(batch)
                )
            )
        self._add_to_stats(dataset_id, more)

    def stats(self, dataset_id: int) -> ImageStats:
        """Return the numbers of entries by label."""
        row = self._connection.execute(_STATS, {"of_dataset": dataset_id}).first()
        total, normal, anomaly = row or (0, 0, 0)
        return ImageStats(total=total, labeled=normal + anomaly, normal=normal, anomaly=anomaly)

    def anomaly_types(self, dataset_id: int) -> frozenset[str]:
        """Return the anomaly types that masks of the dataset may show."""
        by_steps = self._connection.dialect.name == "sqlite"
        statement = _TYPES if by_steps else _TYPES_BY_SCAN
        texts = self._connection.scalars(statement, {"of_dataset": dataset_id})
        return frozenset(name for text in texts for name in json.loads(text))

    def notes(self, dataset_id: int) -> list[tuple[LineNotes, int]]:
        """Return what of the lines is not used, with the number of lines that say so."""
        rows = self._connection.execute(_NOTES, {"of_dataset": dataset_id})
        return [(notes_of_json(row.notes), row.lines) for row in rows]

    def lines(self, dataset_id: int) -> Iterator[str]:
        """Stream the JSON Lines in their order, within the transaction."""
        statement = (
            select(ENTRIES.c.line)
            .where(ENTRIES.c.dataset_id == dataset_id)
            .order_by(ENTRIES.c.position)
            .execution_options(yield_per=BATCH)
        )
        yield from self._connection.scalars(statement)

    def stream(self, dataset_id: int) -> Iterator[DatasetEntry]:
        """Stream the entries in their order, within the transaction."""
        return map(parse_line, self.lines(dataset_id))

    def page(
        self,
        dataset_id: int,
        *,
        after: int,
        limit: int,
        labeled: bool | None,
        label: Label | None,
        created_before: datetime | None,
        created_after: datetime | None,
        contains: str | None,
    ) -> list[tuple[int, str]]:
        """Return position and line of the first entries above a position that pass every filter.

        The first position is 1. Both dates are exclusive; `contains` is literal, case and all.
        """
        conditions: list[ColumnElement[bool]] = []
        if labeled is not None:
            has_label = ENTRIES.c.label.is_not(None)
            conditions.append(has_label if labeled else ~has_label)
        if label is not None:
            conditions.append(ENTRIES.c.label == label)
        if created_before is not None:
            conditions.append(ENTRIES.c.created_at < created_before)
        if created_after is not None:
            conditions.append(ENTRIES.c.created_at > created_after)
        if contains:  # LIKE has wildcards, and in SQLite it ignores case
            without = func.replace(ENTRIES.c.source_ref, contains, "")
            conditions.append(without != ENTRIES.c.source_ref)
        return self._page(dataset_id, conditions, after=after, limit=limit)

    def image_bucket(self, dataset_id: int) -> str | None:
        """Return the bucket of the images; None while there are none."""
        statement = select(ENTRIES.c.source_ref).where(ENTRIES.c.dataset_id == dataset_id)
        ref = object_ref(self._connection.scalar(statement.limit(1)) or "")
        return ref.bucket if ref else None

    def _labels(self, dataset_id: int, refs: Iterable[str]) -> dict[str, Label | None]:
        """Return the labels of those of the images that the dataset has, by their addresses."""
        statement = select(ENTRIES.c.source_ref, ENTRIES.c.label).where(
            ENTRIES.c.dataset_id == dataset_id, ENTRIES.c.source_ref.in_(refs)
        )
        return {
            row.source_ref: Label(row.label) if row.label else None
            for row in self._connection.execute(statement)
        }

    def _add_to_stats(self, dataset_id: int, more: Counter[Label | None]) -> None:
        """Count entries that were added, or, below zero, removed."""
        self._connection.execute(
            _ADD_TO_STATS,
            {
                "of_dataset": dataset_id,
                "more_images": more.total(),
                "more_normal": more[Label.NORMAL],
                "more_anomalies": more[Label.ANOMALY],
            },
        )

    def _page(
        self, dataset_id: int, conditions: Iterable[ColumnElement[bool]], *, after: int, limit: int
    ) -> list[tuple[int, str]]:
        # the filters are decided within an index; only the lines of the page are read
        positions = (
            select(ENTRIES.c.position)
            .where(ENTRIES.c.dataset_id == dataset_id, ENTRIES.c.position > after, *conditions)
            .order_by(ENTRIES.c.position)
            .limit(limit)
        )
        statement = (
            select(ENTRIES.c.position, ENTRIES.c.line)
            .where(ENTRIES.c.dataset_id == dataset_id, ENTRIES.c.position.in_(positions))
            .order_by(ENTRIES.c.position)
        )
        return [(position, line) for position, line in self._connection.execute(statement)]


def _batch(entries: Iterator[DatasetEntry]) -> list[DatasetEntry]:
    """Return the next entries: at most `BATCH`, and not many more than `BATCH_CHARACTERS`."""
    batch: list[DatasetEntry] = []
    characters = 0
    while len(batch) < BATCH and characters < BATCH_CHARACTERS:
        entry = next(entries, None)
        if entry is None:
            break
        batch.append(entry)
        characters += len(entry.line)
    return batch


def _values(entry: DatasetEntry, now: datetime) -> dict[str, Any]:
    types = sorted(entry.anomaly_types)
    return {
        "label": entry.label,
        "created_at": entry.created_at or now,
        "line": entry.line,
        "anomaly_types": json.dumps(types) if types else None,
        "notes": entry.notes.to_json(),
    }
