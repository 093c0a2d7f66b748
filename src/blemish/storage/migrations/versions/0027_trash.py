"""Projects and models that were deleted in the console and can be restored."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.String(64).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "trash",
        sa.Column("project_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("model_id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("moved_by", NAME, nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "model_id", name="pk_trash"),
    )
