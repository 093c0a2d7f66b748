"""Rows in progress of every kind: how their attempts end without a result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import Connection, Table, func, select, update

from blemish.domain.attempts import pause_after
from blemish.domain.lifecycle import DATASET_IN_PROGRESS, JOB_IN_PROGRESS, MODEL_WITH_WORK
from blemish.domain.packaging import IN_PROGRESS as PACKAGING_IN_PROGRESS
from blemish.storage.database.leases import FREE
from blemish.storage.database.tables import DATASETS, DETECTION_JOBS, MODELS, PACKAGING_JOBS

WORK_TABLES = {
    "dataset": DATASETS,
    "model": MODELS,
    "training": MODELS,
    "detection job": DETECTION_JOBS,
    "packaging job": PACKAGING_JOBS,
}
"""Kind of work -> table of its rows."""

_IN_PROGRESS = {
    DATASETS: DATASET_IN_PROGRESS,
    MODELS: MODEL_WITH_WORK,
    DETECTION_JOBS: JOB_IN_PROGRESS,
    PACKAGING_JOBS: PACKAGING_IN_PROGRESS,
}
"""Table -> statuses of rows that a worker may hold."""


class WorkRows:
    """The rows that workers hold, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def time(self, now: datetime) -> datetime:
        """Return the time that leases count by: PostgreSQL's, which its servers share, or `now`."""
        if self._connection.dialect.name != "postgresql":
            return now
        time: datetime = self._connection.execute(select(func.clock_timestamp())).scalar_one()
        return time

    def leased(self, now: datetime) -> dict[str, set[int]]:
        """Return the rows in progress whose lease has not ended, by kind of work."""
        rows: dict[Table, set[int]] = {}
        for table, statuses in _IN_PROGRESS.items():
            held = (table.c.owner.is_not(None), table.c.lease_until >= now)
            statement = select(table.c.id).where(table.c.status.in_(statuses), *held)
            rows[table] = set(self._connection.scalars(statement))
        return {kind: rows[table] for kind, table in WORK_TABLES.items()}

    def holder(self, kind: str, row_id: int) -> str | None:
        """Return the id of the server that holds a row, or held it until its lease ended."""
        table = WORK_TABLES[kind]
        owner: str | None = self._connection.scalar(
            select(table.c.owner).where(table.c.id == row_id)
        )
        return owner

    def held_by(self, owner: str) -> dict[str, int]:
        """Return how many rows of each table a server holds, or held until its leases ended."""
        return dict(Counter(table.name for table, _, _ in self._held([owner])))

    def interrupt_all(self, now: datetime, *, owners: Collection[str] | None = None) -> None:
        """Free the rows of servers that ended in the middle; each counts as interrupted.

        Args:
            now: the time.
            owners: the ids of these servers; None for whoever holds a row.
        """
        for table, row_id, interruptions in list(self._held(owners)):
            statement = update(table).where(table.c.id == row_id)
            self._connection.execute(
                statement.values(
                    interruptions=interruptions + 1,
                    not_before=now + pause_after(interruptions + 1),
                    **FREE,
                )
            )

    def free_all(self, *, owner: str | None = None) -> None:
        """Free the rows of a server after its orderly stop, which counts as no interruption.

        Args:
            owner: the id of the server; None for whoever holds a row.
        """
        for table in _IN_PROGRESS:
            held = table.c.owner.is_not(None) if owner is None else table.c.owner == owner
            self._connection.execute(update(table).where(held).values(**FREE))

    def interrupt(
        self, kind: str, row_id: int, *, attempt: int, counts: bool, not_before: datetime | None
    ) -> bool:
        """Free the row of an attempt without a result; return False for a stale attempt."""
        table = WORK_TABLES[kind]
        held = (table.c.id == row_id, table.c.attempt == attempt, table.c.owner.is_not(None))
        statement = update(table).where(*held)
        values = {"interruptions": table.c.interruptions + int(counts), "not_before": not_before}
        return self._connection.execute(statement.values(**values, **FREE)).rowcount == 1

    def _held(self, owners: Collection[str] | None) -> Iterator[tuple[Table, int, int]]:
        for table in _IN_PROGRESS:
            held = table.c.owner.is_not(None) if owners is None else table.c.owner.in_(owners)
            statement = select(table.c.id, table.c.interruptions).where(held)
            for row_id, interruptions in self._connection.execute(statement):
                yield table, row_id, interruptions
