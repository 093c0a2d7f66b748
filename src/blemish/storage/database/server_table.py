"""The table of the servers that share a database of PostgreSQL."""

from __future__ import annotations

from sqlalchemy import Column, Table

from blemish.storage.database.column_types import LONG_TEXT, UtcDateTime, short_text
from blemish.storage.database.tables import METADATA

SERVERS = Table(
    "servers",
    METADATA,
    # a row for each process that shares a database of PostgreSQL
    Column("id", short_text(64), primary_key=True),
    # of its data directory, the same after a restart
    Column("directory_id", short_text(64), nullable=False),
    Column("host", LONG_TEXT, nullable=False),
    Column("address", LONG_TEXT, nullable=False),
    Column("version", short_text(64), nullable=False),
    Column("stores", LONG_TEXT, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("beat_at", UtcDateTime, nullable=False),
)
