"""Users who sign in to the console by a name."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def text(length: int) -> sa.types.TypeEngine[str]:
    """Return a text that PostgreSQL sorts by its bytes, as SQLite does."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "users",
        sa.Column("name", text(64), nullable=False),
        sa.Column("password_hash", text(255)),
        sa.Column("role", text(32), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("identity", text(1024)),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
        sa.UniqueConstraint("identity", name="uq_users_identity"),
    )
