"""Tags of models."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "tags",
        sa.Column("model_id", sa.Integer, nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("value", sa.String(256), nullable=False),
        sa.PrimaryKeyConstraint("model_id", "key", name="pk_tags"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_tags_model_id"),
    )
