"""Rows of detection jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select

from blemish.domain.detection_jobs import (
    DetectionJob,
    DetectionJobKind,
    DetectionJobStatus,
    ImageCounts,
)
from blemish.domain.entities import ObjectRef, Requester
from blemish.domain.lifecycle import JOB_IN_PROGRESS
from blemish.storage.database import leases
from blemish.storage.database.tables import DETECTION_JOBS, PROJECTS, TRIAL_IMAGES

_SELECT = select(DETECTION_JOBS, PROJECTS.c.name.label("project")).join_from(
    DETECTION_JOBS, PROJECTS
)


class DetectionJobs:
    """The jobs, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        project_id: int,
        *,
        kind: DetectionJobKind,
        name: str,
        model_version: int,
        status_message: str,
        manifest: ObjectRef | None,
        images: str | None,
        output_bucket: str | None,
        output_prefix: str | None,
        now: datetime,
        requester: Requester | None = None,
    ) -> DetectionJob:
        """Add a job in progress; its name must be free in the project and kind."""
        statement = insert(DETECTION_JOBS).values(
            project_id=project_id,
            kind=kind,
            name=name,
            model_version=model_version,
            status=DetectionJobStatus.CREATED,
            status_message=status_message,
            created_at=now,
            updated_at=now,
            manifest=manifest,
            images=images,
            output_bucket=output_bucket,
            output_prefix=output_prefix,
            requester=requester,
        )
        (job_id,) = self._connection.execute(statement).inserted_primary_key or (None,)
        return self._all(_SELECT.where(DETECTION_JOBS.c.id == job_id))[0]

    def find(self, project: str, kind: DetectionJobKind, name: str) -> DetectionJob | None:
        """Return the job of this kind and name in a project, by the name of the project."""
        mine = (PROJECTS.c.name == project, DETECTION_JOBS.c.kind == kind)
        return next(iter(self._all(_SELECT.where(*mine, DETECTION_JOBS.c.name == name))), None)

    def page(
        self, project_id: int, kind: DetectionJobKind, *, before: int | None, limit: int
    ) -> list[DetectionJob]:
        """Return the newest jobs of a project, of those whose id is below `before`."""
        mine = _SELECT.where(
            DETECTION_JOBS.c.project_id == project_id, DETECTION_JOBS.c.kind == kind
        )
        if before is not None:
            mine = mine.where(DETECTION_JOBS.c.id < before)
        return self._all(mine.order_by(DETECTION_JOBS.c.id.desc()).limit(limit))

    def unsettled(self) -> list[DetectionJob]:
        """Return the jobs in progress, oldest first."""
        wanted = DETECTION_JOBS.c.status.in_(JOB_IN_PROGRESS)
        return self._all(_SELECT.where(wanted).order_by(DETECTION_JOBS.c.id))

    def of_model(self, project: str, version: int) -> list[DetectionJob]:
        """Return the jobs that still need a model, oldest first."""
        mine = (PROJECTS.c.name == project, DETECTION_JOBS.c.model_version == version)
        wanted = DETECTION_JOBS.c.status.in_(JOB_IN_PROGRESS)
        return self._all(_SELECT.where(*mine, wanted).order_by(DETECTION_JOBS.c.id))

    def claim(self, job_id: int, *, owner: str, now: datetime, lease_until: datetime) -> int | None:
        """Take a job without a worker; return the number of the attempt."""
        return leases.claim(
            self._connection,
            DETECTION_JOBS,
            job_id,
            sources=JOB_IN_PROGRESS,
            owner=owner,
            now=now,
            lease_until=lease_until,
        )

    def renew(self, job_id: int, *, attempt: int, lease_until: datetime) -> bool:
        """Extend the lease; return False for a stale attempt."""
        return self._write(job_id, attempt=attempt, lease_until=lease_until)

    def hold(self, job_id: int, *, attempt: int) -> bool:
        """Lock the row until the end of the transaction; return False for a stale attempt."""
        return self._write(job_id, attempt=attempt, status=DetectionJobStatus.RUNNING)

    def report(
        self,
        job_id: int,
        *,
        attempt: int,
        counts: ImageCounts,
        status_message: str,
        now: datetime,
    ) -> bool:
        """Set the counts and the status message; return False for a stale attempt."""
        return self._write(
            job_id,
            attempt=attempt,
            status=DetectionJobStatus.RUNNING,
            status_message=status_message,
            updated_at=now,
            **_columns(counts),
        )

    def finish(
        self,
        job_id: int,
        *,
        attempt: int,
        target: DetectionJobStatus,
        status_message: str,
        counts: ImageCounts | None = None,
        now: datetime,
    ) -> bool:
        """End the attempt and free the job; return False for a stale one."""
        return self._write(
            job_id,
            attempt=attempt,
            status=target,
            status_message=status_message,
            updated_at=now,
            images=None,
            **(_columns(counts) if counts else {}),
            **leases.SETTLED,
        )

    def cancel(self, job_id: int, *, status_message: str, now: datetime) -> bool:
        """Move a job in progress to FAILED; return False if it has ended."""
        return leases.move(
            self._connection,
            DETECTION_JOBS,
            job_id,
            sources=JOB_IN_PROGRESS,
            status=DetectionJobStatus.FAILED,
            status_message=status_message,
            updated_at=now,
            images=None,
        )

    def stored_names(self) -> set[str]:
        """Return the names of the stored files in rows."""
        named = select(DETECTION_JOBS.c.images).where(DETECTION_JOBS.c.images.is_not(None))
        return set(self._connection.scalars(named))

    def delete_of_project(self, project_id: int) -> None:
        """Delete the jobs of a project, with the results of trials."""
        mine = select(DETECTION_JOBS.c.id).where(DETECTION_JOBS.c.project_id == project_id)
        self._connection.execute(delete(TRIAL_IMAGES).where(TRIAL_IMAGES.c.job_id.in_(mine)))
        self._connection.execute(
            delete(DETECTION_JOBS).where(DETECTION_JOBS.c.project_id == project_id)
        )

    def _write(self, job_id: int, *, attempt: int, **values: Any) -> bool:
        return leases.write_held(
            self._connection,
            DETECTION_JOBS,
            job_id,
            attempt=attempt,
            sources=JOB_IN_PROGRESS,
            **values,
        )

    def _all(self, statement: Select[Any]) -> list[DetectionJob]:
        return [_job(row) for row in self._connection.execute(statement)]


def _columns(counts: ImageCounts) -> dict[str, int | None]:
    return {
        "total_images": counts.total,
        "normal_images": counts.normal,
        "anomaly_images": counts.anomaly,
        "failed_images": counts.failed,
    }


def _job(row: Row[Any]) -> DetectionJob:
    return DetectionJob(
        id=row.id,
        project=row.project,
        kind=DetectionJobKind(row.kind),
        name=row.name,
        model_version=row.model_version,
        status=DetectionJobStatus(row.status),
        status_message=row.status_message,
        created_at=row.created_at,
        updated_at=row.updated_at,
        manifest=row.manifest,
        images=row.images,
        output_bucket=row.output_bucket,
        output_prefix=row.output_prefix,
        counts=ImageCounts(
            total=row.total_images,
            normal=row.normal_images,
            anomaly=row.anomaly_images,
            failed=row.failed_images,
        ),
        attempt=row.attempt,
        interruptions=row.interruptions,
        not_before=row.not_before,
        requester=row.requester,
    )
