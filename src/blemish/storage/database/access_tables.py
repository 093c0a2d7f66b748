"""The tables of those who use a server, and of what they moved to the trash of the console."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Index, MetaData, Table, true

from blemish.storage.database.column_types import (
    LONG_TEXT,
    NUMBER,
    Secret,
    UtcDateTime,
    short_text,
)

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ACCESS_KEYS = Table(
    "access_keys",
    METADATA,
    Column("id", short_text(128), primary_key=True),
    Column("secret", Secret, nullable=False),
    Column("name", short_text(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("policy", LONG_TEXT, nullable=False, server_default="FullAccess"),
    Column("tags", JSON, nullable=False, server_default="{}"),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Index(None, "name", unique=True),
)

USERS = Table(
    "users",
    METADATA,
    Column("name", short_text(64), primary_key=True),
    Column("password_hash", short_text(255)),
    Column("role", short_text(32), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("identity", short_text(1024), unique=True),
)

TRASH = Table(
    "trash",
    METADATA,
    # no foreign keys: the API deletes what is in the trash too, and older servers do not know it
    Column("project_id", NUMBER, primary_key=True, autoincrement=False),
    Column("model_id", NUMBER, primary_key=True, autoincrement=False),
    Column("moved_by", short_text(64), nullable=False),
    Column("moved_at", UtcDateTime, nullable=False),
)

KIOSK_LINKS = Table(
    "kiosk_links",
    METADATA,
    Column("token_sha256", short_text(64), primary_key=True),
    Column("line", short_text(63), nullable=False),
    Column("note", short_text(100), nullable=False),
    Column("created_by", short_text(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("token_sha256", short_text(64), primary_key=True),
    # no foreign key: a key that is rotated has another id, and that ends its sessions; users have
    # ids of their own
    Column("access_key_id", short_text(128), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("address", short_text(64)),
    Column("last_used_at", UtcDateTime),
)
