"""Who asked for an import or a detection job: its rights on objects are checked later."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("datasets", sa.Column("requester", sa.JSON))
    op.add_column("detection_jobs", sa.Column("requester", sa.JSON))
