"""Where sessions of the console began, and when they were used last."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

ADDRESS = sa.String(64).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns."""
    op.add_column("sessions", sa.Column("address", ADDRESS))
    op.add_column("sessions", sa.Column("last_used_at", sa.DateTime(timezone=True)))
