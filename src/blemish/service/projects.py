"""Projects: made, listed, described, deleted when empty."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from blemish.domain.entities import Dataset, Project
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ServiceQuotaExceededError,
)
from blemish.domain.limits import Limits, Quota
from blemish.service.client_tokens import ALWAYS, Once
from blemish.service.next_tokens import next_token, token_position
from blemish.storage.database.database import Database, Rows

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

    def __init__(self, database: Database, *, limits: Limits, now: Callable[[], datetime]) -> None:
        self._database = database
        self._limits = limits
        self._now = now

    def create(self, name: str, *, once: Once[Project] = ALWAYS) -> Project:
        """Make a project.

        Raises:
            ConflictError: one of this name exists.
            ServiceQuotaExceededError: there are as many as there may be.
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

    def page(
        self, *, token: str | None, limit: int = PAGE_SIZE
    ) -> tuple[list[Project], str | None]:
        """Return a page of the projects, newest first, and the token of the next."""
        with self._database.reading() as rows:
            before = token_position(token, "projects")
            found = rows.projects.page(before=before, limit=limit + 1)
        more = len(found) > limit
        return found[:limit], next_token("projects", found[limit - 1].id) if more else None

    def delete(self, name: str, *, once: Once[Project] = ALWAYS) -> Project:
        """Delete a project that has neither datasets nor models.

        Raises:
            ResourceNotFoundError: there is no such project.
            ConflictError: it still has some.
        """
        with self._database.writing() as rows:
            once.recall(rows)
            project = require_project(rows, name)
            datasets = len(rows.datasets.of_project(project.id))
            models = rows.models.count(project.id)
            if datasets or models:
                raise ConflictError(
                    f"Project {name} still has {datasets} datasets and {models} models. "
                    "Delete them first.",
                    resource_type=ResourceType.PROJECT,
                    resource_id=name,
                )
            rows.projects.delete(project.id)
            once.remember(rows, project)
        return project
