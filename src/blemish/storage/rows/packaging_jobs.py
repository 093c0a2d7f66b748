"""Rows of model packaging jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select

from blemish.domain.entities import Tag
from blemish.domain.packaging import (
    IN_PROGRESS,
    Component,
    PackagingJob,
    PackagingJobStatus,
    TargetPlatform,
)
from blemish.storage.database import leases
from blemish.storage.database.tables import PACKAGING_JOBS, PROJECTS

_SELECT = select(PACKAGING_JOBS, PROJECTS.c.name.label("project")).join_from(
    PACKAGING_JOBS, PROJECTS
)
_UNSETTLED = _SELECT.where(PACKAGING_JOBS.c.status.in_(IN_PROGRESS)).order_by(PACKAGING_JOBS.c.id)


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
        """Return the job of this name in a project, by the name of the project."""
        return self._first(_SELECT.where(PROJECTS.c.name == project, PACKAGING_JOBS.c.name == name))

    def of_component(self, name: str, version: str) -> PackagingJob | None:
        """Return the job, of any project, that makes or made this version of a component.

        Jobs that failed do not count.
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

    def unsettled(self) -> list[PackagingJob]:
        """Return the jobs that a worker has to end, oldest first."""
        return self._all(_UNSETTLED)

    def of_model(self, project: str, version: int) -> PackagingJob | None:
        """Return the oldest job in progress that packages a model."""
        return self._first(
            _UNSETTLED.where(PROJECTS.c.name == project, PACKAGING_JOBS.c.model_version == version)
        )

    def claim(self, job_id: int, *, owner: str, now: datetime, lease_until: datetime) -> int | None:
        """Take a job without a worker; return the number of the attempt."""
        return leases.claim(
            self._connection,
            PACKAGING_JOBS,
            job_id,
            sources=IN_PROGRESS,
            owner=owner,
            now=now,
            lease_until=lease_until,
        )

    def renew(self, job_id: int, *, attempt: int, lease_until: datetime) -> bool:
        """Extend the lease; return False for a stale attempt."""
        return self._write(job_id, attempt=attempt, lease_until=lease_until)

    def report(self, job_id: int, *, attempt: int, status_message: str, now: datetime) -> bool:
        """Turn the job to RUNNING with a message; return False for a stale attempt."""
        return self._write(
            job_id,
            attempt=attempt,
            status=PackagingJobStatus.RUNNING,
            status_message=status_message,
            updated_at=now,
        )

    def finish(
        self,
        job_id: int,
        *,
        attempt: int,
        target: PackagingJobStatus,
        status_message: str,
        now: datetime,
    ) -> bool:
        """End the attempt and free the job; return False for a stale attempt."""
        return self._write(
            job_id,
            attempt=attempt,
            status=target,
            status_message=status_message,
            updated_at=now,
            **leases.SETTLED,
        )

    def _write(self, job_id: int, *, attempt: int, **values: Any) -> bool:
        return leases.write_held(
            self._connection,
            PACKAGING_JOBS,
            job_id,
            attempt=attempt,
            sources=IN_PROGRESS,
            **values,
        )

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
        attempt=row.attempt,
        interruptions=row.interruptions,
        not_before=row.not_before,
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
