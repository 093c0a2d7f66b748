"""A database with many projects and models."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from blemish.domain.entities import (
    DatasetStatus,
    DatasetType,
    Label,
    ModelStatus,
    ObjectRef,
)
from blemish.domain.manifest import parse_line
from blemish.domain.packaging import Component, PackagingJobStatus
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import DatabaseAddress
from blemish.storage.database.database import Database
from blemish.storage.database.tables import MODELS as MODELS_TABLE
from blemish.storage.database.tables import PROJECTS as PROJECTS_TABLE
from blemish.storage.rows.all_rows import Rows
from tests.unit.manifests import BUCKET, json_line

PROJECTS = 1_000
MODELS = 10_000
ENTRIES = 1_000
JOBS = 100
ASKED = "project-0500"
"""The project that is asked about: as many models as any, and a dataset and packaging jobs too."""

TAGS = {"stage": "production", "line": "4"}
NOW = datetime.now(UTC)
TRAINED = {
    "status": ModelStatus.TRAINED,
    "status_message": "Training completed successfully.",
    "description": "one.of.many",
    "created_at": NOW,
    "output_bucket": BUCKET,
    "output_prefix": "out/",
    "entries": "entries.jsonl",
    "f1_score": 0.9,
    "recall": 0.9,
    "precision": 0.9,
    "evaluation_manifest": ObjectRef(bucket=BUCKET, key="out/EvaluationManifest.json"),
    "evaluation_result": ObjectRef(bucket=BUCKET, key="out/EvaluationResult.json"),
    "evaluation_ended_at": NOW,
    "attempt": 1,
}
"""A model, but for what tells it from others."""


def fill(folder: Path, *, address: DatabaseAddress | None = None) -> None:
    """Make the rows of a data directory that is not served yet, or those of another database."""
    directory = DataDirectory(folder)
    directory.create()
    database = Database.open(address or directory.database)
    _add_many(database)
    with database.writing() as rows:
        asked = rows.projects.find(ASKED)
        latest = rows.models.latest(ASKED)
        assert asked is not None
        assert latest is not None
        rows.tags.put(latest, TAGS)
        _add_dataset(rows, asked.id)
        for number in range(JOBS):
            _add_job(rows, asked.id, number)
    database.close()


def _add_many(database: Database) -> None:
    """Add projects, and models as a training leaves them, a table at a time."""
    versions = range(1, MODELS // PROJECTS + 1)
    projects = [
        {"name": f"project-{number:04}", "created_at": NOW, "models_made": len(versions)}
        for number in range(1, PROJECTS + 1)
    ]
    models = [
        {"project_id": number, "version": version, "bundle": f"{number}-{version}"} | TRAINED
        for number in range(1, PROJECTS + 1)
        for version in versions
    ]
    with database._engine.writing() as connection:  # noqa: SLF001 - quicker than row by row
        connection.execute(insert(PROJECTS_TABLE), projects)
        connection.execute(insert(MODELS_TABLE), models)


def _add_dataset(rows: Rows, project_id: int) -> None:
    """Add a training dataset as an import leaves it."""
    dataset = rows.datasets.add(
        project_id,
        DatasetType.TRAIN,
        status=DatasetStatus.CREATE_COMPLETE,
        status_message="The dataset was created successfully.",
        manifest=ObjectRef(bucket=BUCKET, key="the.manifest"),
        now=NOW,
    )
    labels = list(Label)
    lines = (json_line(f"{number}.png", labels[number % 2]) for number in range(ENTRIES))
    rows.entries.put(dataset.id, map(parse_line, lines), now=NOW)


def _add_job(rows: Rows, project_id: int, number: int) -> None:
    """Add a packaging job as the request for it leaves it."""
    rows.packaging_jobs.add(
        project_id,
        name=f"job-{number}",
        model_version=1,
        description=None,
        component=Component(
            name=f"component-{number}",
            version="1.0.0",
            description=None,
            tags=(),
            output_bucket=BUCKET,
            output_prefix="out/",
            target_device="jetson_xavier",
            target_platform=None,
            compiler_options=None,
        ),
        status=PackagingJobStatus.FAILED,
        status_message="The job failed.",
        now=NOW,
    )
