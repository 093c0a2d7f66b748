"""Which images the performance of a model was measured on."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add the column; older models do not say it."""
    op.add_column("models", sa.Column("evaluation_method", sa.String(40)))
