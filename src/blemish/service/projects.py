"""Projects: created, listed, described, deleted when empty."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from blemish.domain.detector_settings import DetectorChange, DetectorSettings
from blemish.domain.entities import Dataset, DatasetStatus, Model, Project
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ServiceQuotaExceededError,
)
from blemish.domain.limits import Limits, Quota
from blemish.service.client_tokens import ALWAYS, Once
from blemish.service.models.bundles import Bundles
from blemish.service.next_tokens import next_token, token_position
from blemish.service.region_masks import RegionMasks
from blemish.storage.database.database import Database
from blemish.storage.rows.all_rows import Rows
from blemish.storage.stored_files import StoredFiles

PAGE_SIZE = 100


def require_project(rows: Rows, name: str) -> Project:
    """Find a project by its name.

    Raises:
        ResourceNotFoundError: there is none.
    """
    project = rows.projects.find(name)
    if project is None:
        raise ResourceNotFoundError(
            f"Project {name} does not exist.",
            resource_type=ResourceType.PROJECT,
            resource_id=name,
        )
    return project


class ProjectService:
    """The projects of the account."""

    def __init__(
        self,
        database: Database,
        *,
        bundles: Bundles,
        stored_files: StoredFiles,
        region_masks: RegionMasks,
        limits: Limits,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._bundles = bundles
        self._stored_files = stored_files
        self._region_masks = region_masks
        self._limits = limits
        self._now = now

    def create(self, name: str, *, once: Once[Project] = ALWAYS) -> Project:
        """Create a project.

        Raises:
            ConflictError: a project of this name exists.
            ServiceQuotaExceededError: there are as many projects as a limit allows.
        """
        with self._database.writing() as rows:
            once.recall(rows)
            if rows.projects.find(name):
                raise ConflictError(
                    f"Project {name} exists already.",
                    resource_type=ResourceType.PROJECT,
                    resource_id=name,
                )
            if rows.projects.count() >= self._limits.max_projects:
                raise ServiceQuotaExceededError(
                    f"There can be at most {self._limits.max_projects} projects.",
                    resource_type=ResourceType.PROJECT,
                    resource_id=name,
                    quota=Quota.PROJECTS,
                )
            project = rows.projects.add(name, created_at=self._now())
            once.remember(rows, project)
        return project

    def describe(self, name: str) -> tuple[Project, list[Dataset]]:
        """Return a project and its datasets.

        Raises:
            ResourceNotFoundError: there is no such project.
        """
        with self._database.reading() as rows:
            project = require_project(rows, name)
            return project, rows.datasets.of_project(project.id)

    def change_detector(self, name: str, change: DetectorChange) -> DetectorSettings:
        """Change the detector settings of a project; models that exist keep theirs.

        Raises:
            ResourceNotFoundError: there is no such project.
            ValidationError: the region mask cannot be used.
        """
        with self._database.reading() as rows:
            before = require_project(rows, name).detector_settings
        if (regions := change(before).regions) is not None and regions != before.regions:
            self._region_masks.read(regions)
        with self._database.writing() as rows:
            project = require_project(rows, name)
            settings = change(project.detector_settings)
            rows.projects.set_detector(project.id, settings)
        return settings

    def page(
        self, *, token: str | None, limit: int = PAGE_SIZE
    ) -> tuple[list[Project], str | None]:
        """Return a page of the projects, newest first, and the token of the next."""
        with self._database.looking_up() as rows:
            before = token_position(token, "projects")
            page = rows.projects.page(before=before, limit=limit + 1)
        more = len(page) > limit
        return page[:limit], next_token("projects", page[limit - 1].id) if more else None

    def delete(self, name: str, *, once: Once[Project] = ALWAYS) -> Project:
        """Delete a project that has neither datasets nor models.

        Datasets and models that are being deleted are gone: this deletes the rest of them.

        Raises:
            ResourceNotFoundError: there is no such project.
            ConflictError: the project has other datasets or models.
        """
        with self._database.writing() as rows:
            once.recall(rows)
            project = require_project(rows, name)
            datasets = rows.datasets.of_project(project.id)
            doomed = [d for d in datasets if d.status is DatasetStatus.DELETE_IN_PROGRESS]
            models = rows.models.count(project.id)
            if models or len(doomed) < len(datasets):
                raise ConflictError(
                    f"Project {name} still has {len(datasets) - len(doomed)} datasets and "
                    f"{models} models. Delete them first.",
                    resource_type=ResourceType.PROJECT,
                    resource_id=name,
                )
            for dataset in doomed:
                rows.datasets.delete(dataset.id)
            doomed_models = rows.models.deleting(project.id)
            for model in doomed_models:
                rows.models.delete(model.id)
            rows.projects.delete(project.id)
            once.remember(rows, project)
        self._delete_files(doomed_models)
        return project

    def _delete_files(self, models: Iterable[Model]) -> None:
        """Delete the files of models without rows; after a crash, the next start does it."""
        for model in models:
            if model.bundle:
                self._bundles.discard(model.bundle)
            self._stored_files.delete(model.entries)
