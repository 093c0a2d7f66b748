"""What is deleted in the console: for a day it is in the trash, and then it is deleted.

In the trash nothing of a project or a model changes: the API shows it and its status as before.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.entities import DatasetStatus, ModelStatus, TrashItem
from blemish.domain.errors import ConflictError, ResourceNotFoundError, ResourceType, ServiceError
from blemish.domain.lifecycle import DATASET_IN_PROGRESS, MODEL_DELETABLE, MODEL_STOPPABLE
from blemish.service.datasets.datasets import DatasetService
from blemish.service.models.models import ModelService, require_model
from blemish.service.projects import ProjectService, require_project
from blemish.storage.database.database import Database
from blemish.storage.rows.all_rows import Rows
from blemish.storage.rows.trash import WHOLE_PROJECT

UNDO_AGE = timedelta(days=1)
"""How long something can be restored."""

MOST_MODELS = 100
"""Models of a project whose deletion begins at once; the others follow."""

logger: FilteringBoundLogger = structlog.get_logger(__name__)


class TrashService:
    """The trash of the console."""

    def __init__(
        self,
        database: Database,
        *,
        projects: ProjectService,
        models: ModelService,
        datasets: DatasetService,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._projects = projects
        self._models = models
        self._datasets = datasets
        self._now = now

    def items(self) -> list[TrashItem]:
        """Return what is in the trash, the newest first."""
        with self._database.reading() as rows:
            return rows.trash.all()

    def projects(self) -> frozenset[str]:
        """Return the names of the projects in the trash."""
        return frozenset(item.project for item in self.items() if item.version is None)

    def versions(self, project: str) -> frozenset[str]:
        """Return the versions of a project's models in the trash."""
        return frozenset(str(item.version) for item in self.items() if item.project == project)

    def move_project(self, name: str, *, by: str) -> None:
        """Move a project to the trash.

        Raises:
            ResourceNotFoundError: there is no such project.
        """
        with self._database.writing() as rows:
            project = require_project(rows, name)
            rows.trash.add(project.id, WHOLE_PROJECT, moved_by=by, moved_at=self._now())

    def move_model(self, project: str, version: str, *, by: str) -> None:
        """Move a model to the trash.

        Raises:
            ResourceNotFoundError: there is no such model.
            ConflictError: its status forbids that it is deleted.
        """
        with self._database.writing() as rows:
            model = require_model(rows, project, version)
            if model.status not in MODEL_DELETABLE:
                raise ConflictError(
                    f"Model {version} cannot be deleted while its status is {model.status}.",
                    resource_type=ResourceType.MODEL,
                    resource_id=version,
                )
            project_id = require_project(rows, project).id
            rows.trash.add(project_id, model.id, moved_by=by, moved_at=self._now())

    def restore_project(self, name: str) -> None:
        """Take a project out of the trash.

        Raises:
            ResourceNotFoundError: it is not in the trash, or its day is over.
        """
        with self._database.writing() as rows:
            _take_out(rows, name, None, since=self._now() - UNDO_AGE)

    def restore_model(self, project: str, version: str) -> None:
        """Take a model out of the trash.

        Raises:
            ResourceNotFoundError: it is not in the trash, or its day is over.
        """
        with self._database.writing() as rows:
            _take_out(rows, project, version, since=self._now() - UNDO_AGE)

    def delete_older(self, before: datetime) -> None:
        """Delete what was moved to the trash before a time, as far as statuses allow it now.

        What is still being stopped or changed is deleted by a later call.
        """
        for item in self.items():
            if item.moved_at >= before:
                continue
            try:
                self._advance(item)
            except ServiceError as error:
                logger.warning(
                    "what is in the trash cannot be deleted yet",
                    project=item.project,
                    version=item.version,
                    reason=error.message,
                )
        with self._database.writing() as rows:
            rows.trash.delete_remains()

    def _advance(self, item: TrashItem) -> None:
        """Do what is next on the way to a deleted project or model."""
        if item.version is not None:
            self._advance_model(item.project, item.version, by=item.moved_by)
            return
        with self._database.reading() as rows:
            models = rows.models.page(item.project_id, before=None, limit=MOST_MODELS)
            datasets = rows.datasets.of_project(item.project_id)
        left = [model for model in models if model.status is not ModelStatus.DELETING]
        for model in left:
            self._advance_model(item.project, model.version, by=item.moved_by)
        if left:
            return
        whole = [
            dataset
            for dataset in datasets
            if dataset.status is not DatasetStatus.DELETE_IN_PROGRESS
        ]
        for dataset in whole:
            if dataset.status not in DATASET_IN_PROGRESS:
                self._datasets.delete(item.project, dataset.type)
        if not whole:
            self._projects.delete(item.project)
            logger.info("project deleted", project=item.project, moved_by=item.moved_by)

    def _advance_model(self, project: str, version: int, *, by: str) -> None:
        status = self._models.describe(project, str(version)).status
        if status is ModelStatus.TRAINING:
            self._models.cancel(project, str(version), by=by)
        elif status in MODEL_DELETABLE:
            self._models.delete(project, str(version))
            logger.info("model deleted", project=project, version=version, moved_by=by)
        elif status in MODEL_STOPPABLE:
            self._models.stop(project, str(version))


def _take_out(rows: Rows, project: str, version: str | None, *, since: datetime) -> None:
    """Take out what was moved since a time: what is older may be half deleted already."""
    for item in rows.trash.all():
        is_it = item.project == project and version == (item.version and str(item.version))
        if is_it and item.moved_at >= since:
            rows.trash.delete(item.project_id, item.model_id)
            return
    name = project if version is None else f"Model {version} of {project}"
    raise ResourceNotFoundError(
        f"{name} is not in the trash, or is being deleted since its day there is over.",
        resource_type=ResourceType.PROJECT if version is None else ResourceType.MODEL,
        resource_id=project,
    )
