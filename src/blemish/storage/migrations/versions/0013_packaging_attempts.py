"""Who works on a model packaging job."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the columns of a lease."""
    op.add_column("packaging_jobs", sa.Column("owner", sa.String(255)))
    op.add_column("packaging_jobs", sa.Column("lease_until", sa.DateTime(timezone=True)))
    op.add_column(
        "packaging_jobs", sa.Column("attempt", sa.Integer, nullable=False, server_default="0")
    )
    op.create_index("ix_packaging_jobs_status", "packaging_jobs", ["status"])
