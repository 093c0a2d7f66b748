"""Rows of model packaging jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select

from blemish.domain.entities import Tag
from blemish.domain.packaging import Component, PackagingJob, PackagingJobStatus, TargetPlatform
from blemish.storage.database.tables import PACKAGING_JOBS, PROJECTS

_SELECT = select(PACKAGING_JOBS, PROJECTS.c.name.label("project")).join_from(
    PACKAGING_JOBS, PROJECTS
)


class PackagingJobs:
    """The jobs, within one transaction; `Projects.delete` deletes those of its project."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        project_id: int,
        *,
        name: str,
        model_version: int,
        description: str | None,
        component: Component,
        status: PackagingJobStatus,
        status_message: str,
        now: datetime,
    ) -> PackagingJob:
        """Add a job; its name must be free in the project, and its component everywhere.

        A job that failed holds no component.
        """
        statement = insert(PACKAGING_JOBS).values(
            project_id=project_id,
            name=name,
            model_version=model_version,
            description=description,
            status=status,
            status_message=status_message,
            created_at=now,
            updated_at=now,
            **_columns(component),
        )
        (job_id,) = self._connection.execute(statement).inserted_primary_key or (None,)
        return self._all(_SELECT.where(PACKAGING_JOBS.c.id == job_id))[0]

    def find(self, project: str, name: str) -> PackagingJob | None:
        """Return the job of this name in the project of this name."""
        return self._first(_SELECT.where(PROJECTS.c.name == project, PACKAGING_JOBS.c.name == name))

    def of_component(self, name: str, version: str) -> PackagingJob | None:
        """Return the job that makes this version of a component, or made it, in whatever project.

        One that failed made nothing.
        """
        return self._first(
            _SELECT.where(
                PACKAGING_JOBS.c.component_name == name,
                PACKAGING_JOBS.c.component_version == version,
                PACKAGING_JOBS.c.status != PackagingJobStatus.FAILED,
            )
        )

    def page(self, project_id: int, *, before: int | None, limit: int) -> list[PackagingJob]:
        """Return the newest jobs of a project, of those whose id is below `before`."""
        mine = _SELECT.where(PACKAGING_JOBS.c.project_id == project_id)
        if before is not None:
            mine = mine.where(PACKAGING_JOBS.c.id < before)
        return self._all(mine.order_by(PACKAGING_JOBS.c.id.desc()).limit(limit))

    def _all(self, statement: Select[Any]) -> list[PackagingJob]:
        return [_job(row) for row in self._connection.execute(statement)]

    def _first(self, statement: Select[Any]) -> PackagingJob | None:
        return next(iter(self._all(statement)), None)


def _columns(component: Component) -> dict[str, Any]:
    platform = component.target_platform
    return {
        "component_name": component.name,
        "component_version": component.version,
        "component_description": component.description,
        "component_tags": [[tag.key, tag.value] for tag in component.tags],
        "output_bucket": component.output_bucket,
        "output_prefix": component.output_prefix,
        "target_device": component.target_device,
        "target_os": platform and platform.os,
        "target_arch": platform and platform.arch,
        "target_accelerator": platform and platform.accelerator,
        "compiler_options": component.compiler_options,
    }


def _job(row: Row[Any]) -> PackagingJob:
    return PackagingJob(
        id=row.id,
        project=row.project,
        name=row.name,
        model_version=row.model_version,
        description=row.description,
        component=_component(row),
        status=PackagingJobStatus(row.status),
        status_message=row.status_message,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _component(row: Row[Any]) -> Component:
    platform = row.target_os and TargetPlatform(
        os=row.target_os, arch=row.target_arch, accelerator=row.target_accelerator
    )
    return Component(
        name=row.component_name,
        version=row.component_version,
        description=row.component_description,
        tags=tuple(Tag(key=key, value=value) for key, value in row.component_tags),
        output_bucket=row.output_bucket,
        output_prefix=row.output_prefix,
        target_device=row.target_device,
        target_platform=platform,
        compiler_options=row.compiler_options,
    )
