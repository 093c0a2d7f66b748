"""Client tokens, and what was answered to their calls."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "client_tokens",
        sa.Column("operation", sa.String(64), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("parameters", sa.String(64), nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("model_id", sa.Integer),
        sa.PrimaryKeyConstraint("operation", "token", name="pk_client_tokens"),
    )
    of_a_model = sa.text("model_id IS NOT NULL")
    op.create_index(
        "ix_client_tokens_model_id",
        "client_tokens",
        ["model_id"],
        sqlite_where=of_a_model,
        postgresql_where=of_a_model,
    )
