"""Access keys: what they may do, their tags, and whether they count."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns; every key that there was might do everything."""
    op.add_column(
        "access_keys", sa.Column("policy", sa.Text, nullable=False, server_default="FullAccess")
    )
    op.add_column("access_keys", sa.Column("tags", sa.JSON, nullable=False, server_default="{}"))
    op.add_column(
        "access_keys", sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true())
    )
    op.create_index("ix_access_keys_name", "access_keys", ["name"], unique=True)
