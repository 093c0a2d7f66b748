"""First tables: projects, datasets with their entries, models, access keys."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("secret", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_keys"),
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("models_made", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("name", name="uq_projects_name"),
        sqlite_autoincrement=True,
    )
    _create_datasets()
    _create_entries()
    _create_models()


def _create_datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project_id", sa.Integer, nullable=False),
        sa.Column("type", sa.String(10), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("status_message", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("manifest", sa.Text),
        sa.Column("image_bucket", sa.String(63)),
        sa.Column("changes", sa.String(255)),
        sa.Column("owner", sa.String(255)),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_datasets"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_datasets_project_id"),
        sa.UniqueConstraint("project_id", "type", name="uq_datasets_project_id_type"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_datasets_status", "datasets", ["status"])


def _create_entries() -> None:
    op.create_table(
        "entries",
        sa.Column("dataset_id", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("label", sa.String(10)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source_ref", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "position", name="pk_entries"),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_entries_dataset_id"),
        sa.UniqueConstraint("dataset_id", "source_ref", name="uq_entries_dataset_id_source_ref"),
    )
    op.create_index(
        "ix_entries_dataset_id_position_label_created_at_source_ref",
        "entries",
        ["dataset_id", "position", "label", "created_at", "source_ref"],
    )
    op.create_index(
        "ix_entries_dataset_id_label_position", "entries", ["dataset_id", "label", "position"]
    )


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project_id", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("description", sa.String(500)),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("status_message", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("output_bucket", sa.String(63), nullable=False),
        sa.Column("output_prefix", sa.Text, nullable=False),
        sa.Column("entries", sa.String(255), nullable=False),
        sa.Column("f1_score", sa.Float),
        sa.Column("recall", sa.Float),
        sa.Column("precision", sa.Float),
        sa.Column("evaluation_manifest", sa.Text),
        sa.Column("evaluation_result", sa.Text),
        sa.Column("evaluation_ended_at", sa.DateTime(timezone=True)),
        sa.Column("bundle", sa.String(255)),
        sa.Column("minimum_units", sa.Integer),
        sa.Column("maximum_units", sa.Integer),
        sa.Column("owner", sa.String(255)),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_models_project_id"),
        sa.UniqueConstraint("project_id", "version", name="uq_models_project_id_version"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_models_status", "models", ["status"])
