"""Results of detection jobs in progress, as files that several servers share."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def text(length: int) -> sa.types.TypeEngine[str]:
    """Return a text that PostgreSQL sorts by its bytes, as SQLite does."""
    return sa.String(length).with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table; an older server that deletes a job takes its segments along."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "detection_segments",
        sa.Column("job_id", number, nullable=False),
        sa.Column("position", number, nullable=False),
        sa.Column("file", text(255), nullable=False),
        sa.Column("origin_sha256", text(64), nullable=False),
        sa.Column("normal_images", number, nullable=False),
        sa.Column("anomaly_images", number, nullable=False),
        sa.Column("failed_images", number, nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["detection_jobs.id"],
            name="fk_detection_segments_job_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "position", name="pk_detection_segments"),
    )
