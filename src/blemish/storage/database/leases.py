"""Who works on a row: an owner, until a lease is over, in a numbered attempt.

A worker claims a row that asks for work, and names the attempt he got in every later write. A write
takes place only while that attempt still holds the row, so a stale one changes nothing. All are
single conditional UPDATEs.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, or_, select, update

FREE: dict[str, Any] = {"owner": None, "lease_until": None}
"""Nobody works on the row."""


def move(
    connection: Connection, table: Table, row_id: int, *, sources: Collection[str], **values: Any
) -> bool:
    """Change a row that is in one of `sources`, whoever holds it, and free it."""
    statement = (
        update(table)
        .where(table.c.id == row_id, table.c.status.in_(sources))
        .values(**values, **FREE)
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
    """Take a row in one of `sources` that nobody holds; return the number of the attempt."""
    free = or_(table.c.owner.is_(None), table.c.lease_until < now)
    statement = (
        update(table)
        .where(table.c.id == row_id, table.c.status.in_(sources), free)
        .values(owner=owner, lease_until=lease_until, attempt=table.c.attempt + 1)
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
    """Change a row in one of `sources` that `attempt` holds, even if its lease is over."""
    held = and_(table.c.attempt == attempt, table.c.owner.is_not(None))
    statement = (
        update(table)
        .where(table.c.id == row_id, table.c.status.in_(sources), held)
        .values(**values)
    )
    return connection.execute(statement).rowcount == 1


def release_all(connection: Connection, table: Table) -> None:
    """Free every row: whoever held one is gone."""
    connection.execute(update(table).where(table.c.owner.is_not(None)).values(**FREE))
