"""Columns for the parsed line of an entry: its anomaly types, and what of the line is not used.

Labels and dates are read again, since earlier versions took the first of several labels. Lines are
read in batches, so memory is bounded; only rows that get new values are written.
"""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from blemish.domain.manifest import LineError, parse_line

revision = "0014"
down_revision = "0013"

BATCH = 1_000
"""Lines that are in memory at once."""

ENTRIES = sa.table(
    "entries",
    sa.column("dataset_id", sa.Integer),
    sa.column("position", sa.Integer),
    sa.column("label", sa.String),
    sa.column("created_at", sa.DateTime(timezone=True)),
    sa.column("line", sa.Text),
    sa.column("anomaly_types", sa.Text),
    sa.column("notes", sa.Text),
)


def upgrade() -> None:
    """Add the columns, fill them, and make their indexes."""
    for name in ("anomaly_types", "notes"):
        op.add_column("entries", sa.Column(name, sa.Text))
    _fill(op.get_bind())
    for name in ("anomaly_types", "notes"):
        there = sa.text(f"{name} IS NOT NULL")
        op.create_index(
            f"ix_entries_dataset_id_{name}",
            "entries",
            ["dataset_id", name],
            sqlite_where=there,
            postgresql_where=there,
        )


def _fill(connection: sa.Connection) -> None:
    date = sa.bindparam("date", type_=sa.DateTime(timezone=True))
    statement = (
        sa.update(ENTRIES)
        .where(
            ENTRIES.c.dataset_id == sa.bindparam("of_dataset"),
            ENTRIES.c.position == sa.bindparam("at_position"),
        )
        .values(
            label=sa.bindparam("label"),
            created_at=sa.func.coalesce(date, ENTRIES.c.created_at),
            anomaly_types=sa.bindparam("anomaly_types"),
            notes=sa.bindparam("notes"),
        )
    )
    for batch in _batches(connection):
        changes = [change for row in batch if (change := _change(row))]
        if changes:
            connection.execute(statement, changes)


def _batches(connection: sa.Connection) -> Iterator[list[Any]]:
    """Yield the rows in the order of their key, some at a time."""
    key = sa.tuple_(ENTRIES.c.dataset_id, ENTRIES.c.position)
    after: tuple[int, int] = (0, 0)
    while True:
        columns = ENTRIES.c.dataset_id, ENTRIES.c.position, ENTRIES.c.label, ENTRIES.c.line
        statement = sa.select(*columns).where(key > after).order_by(*columns[:2]).limit(BATCH)
        batch = list(connection.execute(statement))
        if not batch:
            return
        yield batch
        after = batch[-1].dataset_id, batch[-1].position


def _change(row: Any) -> dict[str, Any] | None:
    """Return the new values of a row; None if it stays as it is."""
    try:
        entry = parse_line(row.line)
    except LineError:
        return None
    types = json.dumps(sorted(entry.anomaly_types)) if entry.anomaly_types else None
    notes = entry.notes.to_json()
    if types is None and notes is None and row.label == entry.label:
        return None
    return {
        "of_dataset": row.dataset_id,
        "at_position": row.position,
        "label": entry.label,
        "date": entry.created_at,
        "anomaly_types": types,
        "notes": notes,
    }
