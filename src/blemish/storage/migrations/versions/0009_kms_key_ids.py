"""The key that CreateModel named for a model."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column; models of before have the default key."""
    op.add_column("models", sa.Column("kms_key_id", sa.Text))
