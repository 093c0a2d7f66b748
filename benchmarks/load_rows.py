"""A database with many projects and models, through the storage layer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from blemish.domain.entities import (
    DatasetStatus,
    DatasetType,
    Label,
    ModelStatus,
    ObjectRef,
    Performance,
)
from blemish.domain.manifest import parse_line
from blemish.domain.packaging import Component, PackagingJobStatus
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database import Database, Rows
from tests.unit.manifests import BUCKET, json_line

PROJECTS = 1_000
MODELS = 10_000
ENTRIES = 1_000
JOBS = 100
ASKED = "project-0500"
"""The project that is asked about: as many models as any, and a dataset and packaging jobs too."""

TAGS = {"stage": "production", "line": "4"}
NOW = datetime.now(UTC)


def fill(folder: Path) -> None:
    """Make the rows of a data directory that is not served yet."""
    directory = DataDirectory(folder)
    directory.create()
    database = Database.open(directory.database)
    with database.writing() as rows:
        for number in range(PROJECTS):
            project = rows.projects.add(f"project-{number:04}", created_at=NOW)
            for _ in range(MODELS // PROJECTS):
                _add_model(rows, project.id)
        asked = rows.projects.find(ASKED)
        latest = rows.models.latest(ASKED)
        assert asked is not None
        assert latest is not None
        _add_dataset(rows, asked.id)
        for number in range(JOBS):
            _add_job(rows, asked.id, number)
        rows.tags.put(latest, TAGS)
    database.close()


def _add_model(rows: Rows, project_id: int) -> None:
    """Add a model as a training leaves it."""
    model = rows.models.add(
        project_id,
        version=rows.projects.next_model_version(project_id),
        description="one.of.many",
        status=ModelStatus.TRAINING,
        status_message="The model is being trained.",
        output_bucket=BUCKET,
        output_prefix="out/",
        entries=f"entries-{project_id}.jsonl",
        now=NOW,
    )
    attempt = rows.models.claim(model.id, owner="the benchmark", now=NOW, lease_until=NOW)
    assert attempt is not None
    rows.models.finish_training(
        model.id,
        attempt=attempt,
        status_message="Training completed successfully.",
        performance=Performance(f1_score=0.9, recall=0.9, precision=0.9),
        evaluation_manifest=ObjectRef(bucket=BUCKET, key="out/EvaluationManifest.json"),
        evaluation_result=ObjectRef(bucket=BUCKET, key="out/EvaluationResult.json"),
        evaluation_ended_at=NOW,
        bundle=f"{model.id}-{attempt}",
    )


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
