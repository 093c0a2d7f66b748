"""The identity of the data directory, its mark, and what is known of its clock."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Make the table with its one row."""
    op.create_table(
        "directory",
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("id", sa.String(64)),
        sa.Column("mark", sa.BigInteger, nullable=False),
        sa.Column("clock_read_at", sa.DateTime(timezone=True)),
        sa.Column("clock_gaps", sa.JSON, nullable=False, server_default="[]"),
        sa.PrimaryKeyConstraint("number", name="pk_directory"),
    )
    op.execute("INSERT INTO directory (number, mark) VALUES (1, 0)")
