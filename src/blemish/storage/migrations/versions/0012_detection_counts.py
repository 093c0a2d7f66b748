"""How many images models judged, by the hour."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "detection_counts",
        sa.Column("project_id", sa.Integer, nullable=False),
        sa.Column("model_version", sa.Integer, nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("images", sa.BigInteger, nullable=False),
        sa.Column("anomalies", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "model_version", "hour", name="pk_detection_counts"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_detection_counts_project_id_projects"
        ),
    )
