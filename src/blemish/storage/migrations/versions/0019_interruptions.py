"""How often work was interrupted, when it may go on, and how often hosting failed."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Add the columns."""
    for table in ("datasets", "models", "detection_jobs", "packaging_jobs"):
        op.add_column(
            table, sa.Column("interruptions", sa.Integer, nullable=False, server_default="0")
        )
        op.add_column(table, sa.Column("not_before", sa.DateTime(timezone=True)))
    op.add_column(
        "models", sa.Column("hosting_failures", sa.Integer, nullable=False, server_default="0")
    )
