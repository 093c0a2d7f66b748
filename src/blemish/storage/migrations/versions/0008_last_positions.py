"""The position of the entry that was added to a dataset last, even if it was removed."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column; so far no entry was ever removed."""
    last_position = sa.Column("last_position", sa.Integer, nullable=False, server_default="0")
    op.add_column("datasets", last_position)
    op.execute(
        "UPDATE datasets SET last_position = coalesce("
        "(SELECT max(position) FROM entries WHERE entries.dataset_id = datasets.id), 0)"
    )
