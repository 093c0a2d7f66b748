"""Removing old verdicts from the records of a station."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

REMOVED_AT_ONCE = 100
"""Verdicts: a transaction that removes them must not hold the line up."""


@dataclass(frozen=True, kw_only=True)
class RemovedVerdicts:
    """What was removed; the caller removes the files after the transaction."""

    count: int
    #: of the files
    size_bytes: int
    files: list[str]


def remove_oldest(
    connection: sqlite3.Connection, *, before: datetime | None = None
) -> RemovedVerdicts:
    """Remove the oldest verdicts that wait for no sink, `REMOVED_AT_ONCE` of them at most.

    Args:
        connection: in a transaction.
        before: only those that were judged before this moment; None for any.
    """
    condition, values = "1", []
    if before is not None:
        condition, values = "judged_at < ?", [before.astimezone(UTC).isoformat()]
    rows = connection.execute(
        "SELECT number, stored_bytes, image_file, heat_map_file, mask_file FROM verdicts"  # noqa: S608
        f" WHERE {condition} AND number NOT IN (SELECT number FROM deliveries)"
        " ORDER BY number LIMIT ?",
        (*values, REMOVED_AT_ONCE),
    ).fetchall()
    connection.executemany("DELETE FROM verdicts WHERE number = ?", [row[:1] for row in rows])
    return RemovedVerdicts(
        count=len(rows),
        size_bytes=sum(size_bytes for _, size_bytes, *_ in rows),
        files=[name for _, _, *files in rows for name in files if name],
    )
