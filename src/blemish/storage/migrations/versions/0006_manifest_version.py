"""The version of the manifest that a dataset is made from."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column."""
    op.add_column("datasets", sa.Column("manifest_version", sa.Text))
