"""Rows in progress of every kind: how their attempts end without a result."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, Table, select, update

from blemish.domain.attempts import pause_after
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


class WorkRows:
    """The rows that workers hold, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def interrupt_all(self, now: datetime) -> None:
        """Free the rows of a server that ended in the middle; each counts as interrupted."""
        for table, row_id, interruptions in list(self._held()):
            statement = update(table).where(table.c.id == row_id)
            self._connection.execute(
                statement.values(
                    interruptions=interruptions + 1,
                    not_before=now + pause_after(interruptions + 1),
                    **FREE,
                )
            )

    def free_all(self) -> None:
        """Free every row after an orderly stop, which counts as no interruption."""
        for table in set(WORK_TABLES.values()):
            self._connection.execute(update(table).where(table.c.owner.is_not(None)).values(**FREE))

    def interrupt(
        self, kind: str, row_id: int, *, attempt: int, counts: bool, not_before: datetime | None
    ) -> bool:
        """Free the row of an attempt without a result; return False for a stale attempt."""
        table = WORK_TABLES[kind]
        held = (table.c.id == row_id, table.c.attempt == attempt, table.c.owner.is_not(None))
        statement = update(table).where(*held)
        values = {"interruptions": table.c.interruptions + int(counts), "not_before": not_before}
        return self._connection.execute(statement.values(**values, **FREE)).rowcount == 1

    def _held(self) -> Iterator[tuple[Table, int, int]]:
        for table in set(WORK_TABLES.values()):
            statement = select(table.c.id, table.c.interruptions).where(table.c.owner.is_not(None))
            for row_id, interruptions in self._connection.execute(statement):
                yield table, row_id, interruptions
