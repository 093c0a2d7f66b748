"""The tables, as the code sees them; `migrations/` makes them, step by step.

    projects <- datasets <- entries
        ^------ models <- tags            access_keys
        ^------ packaging_jobs            users
    uploads <- upload_parts               object_metadata, folder_markers
    client_tokens                         sessions, trash
                                          directory

A number that names a row is never used twice, so that nobody who worked on a deleted row can take a
later one for it.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Table,
    UniqueConstraint,
)

from blemish.storage.database import access_tables
from blemish.storage.database.column_types import (
    LONG_TEXT,
    NUMBER,
    DetectorSettingsJson,
    ObjectRefText,
    RequesterJson,
    UtcDateTime,
    short_text,
)

MAX_ID = 2**63 - 1
"""The largest number that a column holds."""


METADATA = access_tables.METADATA

PROJECTS = Table(
    "projects",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("name", short_text(255), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("models_made", NUMBER, nullable=False, server_default="0"),
    # null: the defaults
    Column("detector_settings", DetectorSettingsJson),
    sqlite_autoincrement=True,
)

DIRECTORY = Table(
    "directory",
    METADATA,
    # one row, numbered 1: of the data directory that this database belongs to
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("id", short_text(64)),
    Column("mark", BigInteger, nullable=False),
    # the newest time that was read from the clock, and its jumps before
    Column("clock_read_at", UtcDateTime),
    Column("clock_gaps", JSON, nullable=False, server_default="[]"),
    # digest of the key that all servers seal under by default; null: one server alone
    Column("default_key", short_text(64)),
)

DATASETS = Table(
    "datasets",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("type", short_text(10), nullable=False),
    Column("status", short_text(40), nullable=False, index=True),
    Column("status_message", LONG_TEXT, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("manifest", ObjectRefText),
    Column("manifest_version", LONG_TEXT),
    Column("image_bucket", short_text(63)),
    # of the entry added last, whether it is still there: tokens of pages count on no second use
    Column("last_position", NUMBER, nullable=False, server_default="0"),
    # of the entries: counted as they change, since to count a large dataset takes too long
    Column("images", NUMBER, nullable=False, server_default="0"),
    Column("normal_images", NUMBER, nullable=False, server_default="0"),
    Column("anomaly_images", NUMBER, nullable=False, server_default="0"),
    Column("changes", short_text(255)),
    Column("requester", RequesterJson),
    Column("owner", short_text(255)),
    Column("lease_until", UtcDateTime),
    Column("attempt", NUMBER, nullable=False, server_default="0"),
    Column("interruptions", NUMBER, nullable=False, server_default="0"),
    Column("not_before", UtcDateTime),
    UniqueConstraint("project_id", "type"),
    sqlite_autoincrement=True,
)

ENTRIES = Table(
    "entries",
    METADATA,
    Column("dataset_id", ForeignKey("datasets.id"), primary_key=True),
    Column("position", NUMBER, primary_key=True, autoincrement=False),
    Column("label", short_text(10)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("source_ref", LONG_TEXT, nullable=False),
    Column("line", LONG_TEXT, nullable=False),
    # parsed from the line, each as JSON: what its mask may show, sorted; what of it is not used
    Column("anomaly_types", LONG_TEXT),
    Column("notes", LONG_TEXT),
    UniqueConstraint("dataset_id", "source_ref"),
    # ListDatasetEntries filters within these, without touching the lines
    Index(None, "dataset_id", "position", "label", "created_at", "source_ref"),
    Index(None, "dataset_id", "label", "position"),
)
for _column in (ENTRIES.c.anomaly_types, ENTRIES.c.notes):
    Index(
        None,
        ENTRIES.c.dataset_id,
        _column,
        sqlite_where=_column.is_not(None),
        postgresql_where=_column.is_not(None),
    )

MODELS = Table(
    "models",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("version", NUMBER, nullable=False),
    Column("description", short_text(500)),
    Column("status", short_text(40), nullable=False, index=True),
    Column("status_message", LONG_TEXT, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("output_bucket", short_text(63), nullable=False),
    Column("output_prefix", LONG_TEXT, nullable=False),
    Column("kms_key_id", LONG_TEXT),
    Column("entries", short_text(255), nullable=False),
    # null: created before there were any
    Column("detector_settings", DetectorSettingsJson),
    Column("f1_score", Float),
    Column("recall", Float),
    Column("precision", Float),
    # null: not trained, or before there was a choice
    Column("evaluation_method", short_text(40)),
    Column("evaluation_manifest", ObjectRefText),
    Column("evaluation_result", ObjectRefText),
    Column("evaluation_ended_at", UtcDateTime),
    Column("bundle", short_text(255)),
    Column("minimum_units", NUMBER),
    Column("maximum_units", NUMBER),
    Column("owner", short_text(255)),
    Column("lease_until", UtcDateTime),
    Column("attempt", NUMBER, nullable=False, server_default="0"),
    Column("interruptions", NUMBER, nullable=False, server_default="0"),
    Column("not_before", UtcDateTime),
    Column("hosting_failures", NUMBER, nullable=False, server_default="0"),
    UniqueConstraint("project_id", "version"),
    sqlite_autoincrement=True,
)

TAGS = Table(
    "tags",
    METADATA,
    Column("model_id", ForeignKey("models.id"), primary_key=True),
    Column("key", short_text(128), primary_key=True),
    Column("value", short_text(256), nullable=False),
)

PACKAGING_JOBS = Table(
    "packaging_jobs",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("name", short_text(64), nullable=False),
    # a number, and no reference: the job outlives the model
    Column("model_version", NUMBER, nullable=False),
    Column("description", short_text(256)),
    Column("component_name", short_text(128), nullable=False),
    Column("component_version", short_text(64), nullable=False),
    Column("component_description", short_text(256)),
    Column("component_tags", JSON, nullable=False),
    Column("output_bucket", short_text(63), nullable=False),
    Column("output_prefix", LONG_TEXT),
    Column("target_device", short_text(40)),
    Column("target_os", short_text(40)),
    Column("target_arch", short_text(40)),
    Column("target_accelerator", short_text(40)),
    Column("compiler_options", LONG_TEXT),
    Column("status", short_text(40), nullable=False, index=True),
    Column("status_message", LONG_TEXT, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("owner", short_text(255)),
    Column("lease_until", UtcDateTime),
    Column("attempt", NUMBER, nullable=False, server_default="0"),
    Column("interruptions", NUMBER, nullable=False, server_default="0"),
    Column("not_before", UtcDateTime),
    UniqueConstraint("project_id", "name"),
    sqlite_autoincrement=True,
)
Index(
    "uq_packaging_jobs_component",
    PACKAGING_JOBS.c.component_name,
    PACKAGING_JOBS.c.component_version,
    unique=True,
    sqlite_where=PACKAGING_JOBS.c.status != "FAILED",
    postgresql_where=PACKAGING_JOBS.c.status != "FAILED",
)

DETECTION_COUNTS = Table(
    "detection_counts",
    METADATA,
    Column("project_id", ForeignKey("projects.id"), primary_key=True),
    # no foreign key: what a model judged stays counted when the model is gone
    Column("model_version", NUMBER, primary_key=True, autoincrement=False),
    Column("hour", UtcDateTime, primary_key=True),
    Column("images", BigInteger, nullable=False),
    Column("anomalies", BigInteger, nullable=False),
)

OBJECT_METADATA = Table(
    "object_metadata",
    METADATA,
    Column("bucket", short_text(63), primary_key=True),
    Column("key", LONG_TEXT, primary_key=True),
    # of which content this speaks: a file that was changed by hand has another size or time
    Column("size_bytes", BigInteger, primary_key=True, autoincrement=False),
    Column("modified_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("etag", short_text(64), nullable=False),
    Column("headers", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("checksums", JSON, nullable=False),
)

FOLDER_MARKERS = Table(
    "folder_markers",
    METADATA,
    Column("bucket", short_text(63), primary_key=True),
    Column("key", LONG_TEXT, primary_key=True),
    Column("modified_ns", BigInteger, nullable=False),
    Column("etag", short_text(64), nullable=False),
    Column("headers", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("checksums", JSON, nullable=False),
)

UPLOADS = Table(
    "uploads",
    METADATA,
    Column("id", short_text(64), primary_key=True),
    Column("bucket", short_text(63), nullable=False),
    Column("key", LONG_TEXT, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("checksum_algorithm", short_text(20)),
    Column("checksum_type", short_text(20)),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "bucket", "key", "id"),
)

UPLOAD_PARTS = Table(
    "upload_parts",
    METADATA,
    Column("upload_id", ForeignKey("uploads.id"), primary_key=True),
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("file", short_text(255), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("etag", short_text(64), nullable=False),
    Column("checksums", JSON, nullable=False),
    Column("modified_at", UtcDateTime, nullable=False),
)

COMPLETED_UPLOADS = Table(
    "completed_uploads",
    METADATA,
    Column("id", short_text(64), primary_key=True),
    Column("bucket", short_text(63), nullable=False),
    Column("key", LONG_TEXT, nullable=False),
    Column("parts", short_text(64), nullable=False),
    Column("etag", short_text(64), nullable=False),
    Column("headers", JSON, nullable=False),
    Column("checksums", JSON, nullable=False),
    Column("completed_at", UtcDateTime, nullable=False),
)

CLIENT_TOKENS = Table(
    "client_tokens",
    METADATA,
    Column("operation", short_text(64), primary_key=True),
    Column("token", short_text(64), primary_key=True),
    Column("parameters", short_text(64), nullable=False),
    Column("answer", LONG_TEXT, nullable=False),
    # not indexed: every change pays for an index, and the rows are few when old ones are looked for
    Column("created_at", UtcDateTime, nullable=False),
    # of a start or a stop; the model may be gone, so this is no foreign key
    Column("model_id", NUMBER),
)
Index(
    "ix_client_tokens_model_id",
    CLIENT_TOKENS.c.model_id,
    sqlite_where=CLIENT_TOKENS.c.model_id.is_not(None),
    postgresql_where=CLIENT_TOKENS.c.model_id.is_not(None),
)

DETECTION_JOBS = Table(
    "detection_jobs",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("project_id", ForeignKey("projects.id"), nullable=False),
    Column("kind", short_text(10), nullable=False),
    Column("name", short_text(64), nullable=False),
    Column("model_version", NUMBER, nullable=False),
    Column("status", short_text(40), nullable=False, index=True),
    Column("status_message", LONG_TEXT, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("manifest", ObjectRefText),
    # name of a kept file
    Column("images", short_text(255)),
    Column("output_bucket", short_text(63)),
    Column("output_prefix", LONG_TEXT),
    Column("total_images", NUMBER),
    Column("normal_images", NUMBER, nullable=False, server_default="0"),
    Column("anomaly_images", NUMBER, nullable=False, server_default="0"),
    Column("failed_images", NUMBER, nullable=False, server_default="0"),
    Column("requester", RequesterJson),
    Column("owner", short_text(255)),
    Column("lease_until", UtcDateTime),
    Column("attempt", NUMBER, nullable=False, server_default="0"),
    Column("interruptions", NUMBER, nullable=False, server_default="0"),
    Column("not_before", UtcDateTime),
    UniqueConstraint("project_id", "kind", "name"),
    sqlite_autoincrement=True,
)

DETECTION_SEGMENTS = Table(
    "detection_segments",
    METADATA,
    # an older server, which knows no segments, may delete the job
    Column("job_id", ForeignKey("detection_jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", NUMBER, primary_key=True, autoincrement=False),
    Column("file", short_text(255), nullable=False),
    # of the list and the bundle that the results are of
    Column("origin_sha256", short_text(64), nullable=False),
    Column("normal_images", NUMBER, nullable=False),
    Column("anomaly_images", NUMBER, nullable=False),
    Column("failed_images", NUMBER, nullable=False),
)

TRIAL_IMAGES = Table(
    "trial_images",
    METADATA,
    Column("job_id", ForeignKey("detection_jobs.id"), primary_key=True),
    Column("position", NUMBER, primary_key=True, autoincrement=False),
    Column("source_ref", LONG_TEXT, nullable=False),
    Column("is_anomalous", Boolean),
    Column("confidence", Float),
    Column("error", LONG_TEXT),
    Column("verified_line", LONG_TEXT),
    UniqueConstraint("job_id", "source_ref"),
)
