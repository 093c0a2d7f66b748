"""Leases: which worker holds a row, until when, and in which attempt.

A worker claims a row and names its attempt in every later write. A write succeeds only while that
attempt holds the row, so a stale attempt changes nothing. Each function is one conditional UPDATE.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, case, or_, select, update

FREE: dict[str, Any] = {"owner": None, "lease_until": None}
"""The values of a row without a worker."""

SETTLED: dict[str, Any] = FREE | {"interruptions": 0, "not_before": None}
"""The values of a row whose work has ended, or begins."""


def move(
    connection: Connection, table: Table, row_id: int, *, sources: Collection[str], **values: Any
) -> bool:
    """Change a row that is in one of `sources`, held or not, and free it."""
    statement = (
        update(table)
        .where(table.c.id == row_id, table.c.status.in_(sources))
        .values(**{**SETTLED, **values})
    )
    return connection.execute(statement).rowcount == 1


def claim(
    connection: Connection,
    table: Table,
    row_id: int,
    *,
    sources: Collection[str],
    owner: str,
    now: datetime,
    lease_until: datetime,
) -> int | None:
    """Claim a free row in one of `sources`; return the number of the attempt.

    A lease that has lapsed means that the former attempt was interrupted.
    """
    free = or_(table.c.owner.is_(None), table.c.lease_until < now)
    statement = (
        update(table)
        .where(table.c.id == row_id, table.c.status.in_(sources), free)
        .values(
            owner=owner,
            lease_until=lease_until,
            attempt=table.c.attempt + 1,
            interruptions=table.c.interruptions + case((table.c.owner.is_not(None), 1), else_=0),
        )
    )
    if connection.execute(statement).rowcount != 1:
        return None
    return connection.scalar(select(table.c.attempt).where(table.c.id == row_id))


def write_held(
    connection: Connection,
    table: Table,
    row_id: int,
    *,
    attempt: int,
    sources: Collection[str],
    **values: Any,
) -> bool:
    """Change a row in one of `sources` that `attempt` holds, even after its lease ended."""
    held = and_(table.c.attempt == attempt, table.c.owner.is_not(None))
    statement = (
        update(table)
        .where(table.c.id == row_id, table.c.status.in_(sources), held)
        .values(**values)
    )
    return connection.execute(statement).rowcount == 1
