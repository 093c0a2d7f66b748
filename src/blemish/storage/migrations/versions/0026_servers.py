"""The servers that share a database, and the default key that all of them must have."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

TEXT = sa.Text(collation="C")
SHORT = sa.String(64).with_variant(TEXT, "postgresql")
LONG = sa.Text().with_variant(TEXT, "postgresql")


def upgrade() -> None:
    """Add a table and a column."""
    op.create_table(
        "servers",
        sa.Column("id", SHORT, primary_key=True),
        sa.Column("directory_id", SHORT, nullable=False),
        sa.Column("host", LONG, nullable=False),
        sa.Column("address", LONG, nullable=False),
        sa.Column("version", SHORT, nullable=False),
        sa.Column("stores", LONG, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.add_column("directory", sa.Column("default_key", SHORT))
