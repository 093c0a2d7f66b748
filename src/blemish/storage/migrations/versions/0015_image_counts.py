"""The numbers of images of a dataset: all of them, the normal ones and the anomalies."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the columns, and count the entries that are there."""
    for name, condition in (
        ("images", ""),
        ("normal_images", "AND entries.label = 'normal'"),
        ("anomaly_images", "AND entries.label = 'anomaly'"),
    ):
        op.add_column("datasets", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
        op.execute(
            f"UPDATE datasets SET {name} = (SELECT count(*) FROM entries "  # noqa: S608 - ours
            f"WHERE entries.dataset_id = datasets.id {condition})"
        )
