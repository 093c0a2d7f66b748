"""Links that open the page of one line without signing in."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def text(length: int) -> sa.types.TypeEngine[str]:
    """Return a text that PostgreSQL sorts by its bytes, as SQLite does."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "kiosk_links",
        sa.Column("token_sha256", text(64), nullable=False),
        sa.Column("line", text(63), nullable=False),
        sa.Column("note", text(100), nullable=False),
        sa.Column("created_by", text(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_kiosk_links"),
    )
