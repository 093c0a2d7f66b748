"""Detector settings of projects, and those that each model was created with."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the columns; older projects have the defaults, older models no settings."""
    op.add_column("projects", sa.Column("detector_settings", sa.JSON))
    op.add_column("models", sa.Column("detector_settings", sa.JSON))
