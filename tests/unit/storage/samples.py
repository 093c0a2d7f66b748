"""Rows and entries for the tests of storage, with only what a test is about spelled out."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from blemish.domain.entities import (
    AccessKey,
    Dataset,
    DatasetEntry,
    DatasetStatus,
    DatasetType,
    Label,
    Model,
    ModelStatus,
    ObjectRef,
    Project,
)
from blemish.storage.database.migrating import MIGRATIONS
from blemish.storage.rows.all_rows import Rows

NOW = datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
LEASE = timedelta(seconds=30)
BUCKET = "images"


def add_project(rows: Rows, name: str = "circuits") -> Project:
    return rows.projects.add(name, created_at=NOW)


def add_dataset(
    rows: Rows,
    project: Project,
    kind: DatasetType = DatasetType.TRAIN,
    *,
    status: DatasetStatus = DatasetStatus.CREATE_COMPLETE,
) -> Dataset:
    return rows.datasets.add(
        project.id, kind, status=status, status_message="", manifest=None, now=NOW
    )


def add_model(rows: Rows, project: Project, *, status: ModelStatus = ModelStatus.TRAINING) -> Model:
    version = rows.projects.next_model_version(project.id)
    return rows.models.add(
        project.id,
        version=version,
        description=None,
        status=status,
        status_message="",
        output_bucket=BUCKET,
        output_prefix="out/",
        entries=f"{project.name}-{version}.jsonl",
        now=NOW,
    )


def access_key() -> AccessKey:
    return AccessKey(
        id="AKIA",
        sealed_secret="the secret",
        name="first",
        policy="FullAccess",
        tags={"line": "4"},
        enabled=True,
        created_at=NOW,
    )


def entry(
    key: str, label: Label | None = None, *, at: datetime | None = None, line: str | None = None
) -> DatasetEntry:
    return DatasetEntry(
        image=ObjectRef(bucket=BUCKET, key=key),
        label=label,
        mask=None,
        created_at=at,
        line=f'{{"source-ref": "s3://{BUCKET}/{key}"}}' if line is None else line,
    )


def make_old_database(path: Path, *, version: str) -> None:
    """Make a database as the migrations up to this one left it."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, version)
    engine.dispose()


def python(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start a Python process of its own, to be limited or killed."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
