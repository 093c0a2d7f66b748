"""Model packaging jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "packaging_jobs",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project_id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("model_version", sa.Integer, nullable=False),
        sa.Column("description", sa.String(256)),
        sa.Column("component_name", sa.String(128), nullable=False),
        sa.Column("component_version", sa.String(64), nullable=False),
        sa.Column("component_description", sa.String(256)),
        sa.Column("component_tags", sa.JSON, nullable=False),
        sa.Column("output_bucket", sa.String(63), nullable=False),
        sa.Column("output_prefix", sa.Text),
        sa.Column("target_device", sa.String(40)),
        sa.Column("target_os", sa.String(40)),
        sa.Column("target_arch", sa.String(40)),
        sa.Column("target_accelerator", sa.String(40)),
        sa.Column("compiler_options", sa.Text),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("status_message", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_packaging_jobs"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_packaging_jobs_project_id"
        ),
        sa.UniqueConstraint("project_id", "name", name="uq_packaging_jobs_project_id_name"),
        sqlite_autoincrement=True,
    )
    not_failed = sa.text("status != 'FAILED'")
    op.create_index(
        "uq_packaging_jobs_component",
        "packaging_jobs",
        ["component_name", "component_version"],
        unique=True,
        sqlite_where=not_failed,
        postgresql_where=not_failed,
    )
