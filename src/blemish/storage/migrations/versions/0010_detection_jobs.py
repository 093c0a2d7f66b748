"""Detection jobs, and what trials found."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "detection_jobs",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project_id", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("model_version", sa.Integer, nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("status_message", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("manifest", sa.Text),
        sa.Column("images", sa.String(255)),
        sa.Column("output_bucket", sa.String(63)),
        sa.Column("output_prefix", sa.Text),
        sa.Column("total_images", sa.Integer),
        sa.Column("normal_images", sa.Integer, nullable=False, server_default="0"),
        sa.Column("anomaly_images", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failed_images", sa.Integer, nullable=False, server_default="0"),
        sa.Column("owner", sa.String(255)),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_detection_jobs"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_detection_jobs_project_id"
        ),
        sa.UniqueConstraint(
            "project_id", "kind", "name", name="uq_detection_jobs_project_id_kind_name"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_detection_jobs_status", "detection_jobs", ["status"])
    op.create_table(
        "trial_images",
        sa.Column("job_id", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("source_ref", sa.Text, nullable=False),
        sa.Column("is_anomalous", sa.Boolean),
        sa.Column("confidence", sa.Float),
        sa.Column("error", sa.Text),
        sa.Column("verified_line", sa.Text),
        sa.PrimaryKeyConstraint("job_id", "position", name="pk_trial_images"),
        sa.ForeignKeyConstraint(["job_id"], ["detection_jobs.id"], name="fk_trial_images_job_id"),
        sa.UniqueConstraint("job_id", "source_ref", name="uq_trial_images_job_id_source_ref"),
    )
