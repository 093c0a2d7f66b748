"""Rows of projects."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from blemish.domain.detector_settings import DEFAULT_SETTINGS, DetectorSettings
from blemish.domain.entities import Project
from blemish.storage.database.tables import MAX_ID, PACKAGING_JOBS, PROJECTS
from blemish.storage.rows.detection_counts import DetectionCountRows
from blemish.storage.rows.detection_jobs import DetectionJobs

# Made once: to build a statement takes longer than to run it.
_FIND = select(PROJECTS).where(PROJECTS.c.name == bindparam("name"))
_PAGE = (
    select(PROJECTS)
    .where(PROJECTS.c.id < bindparam("before"))
    .order_by(PROJECTS.c.id.desc())
    .limit(bindparam("most"))
)


class Projects:
    """The projects, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, name: str, *, created_at: datetime) -> Project:
        """Add a project; the name must be free."""
        statement = insert(PROJECTS).values(name=name, created_at=created_at)
        (project_id,) = self._connection.execute(statement).inserted_primary_key or (None,)
        assert project_id is not None
        return Project(id=project_id, name=name, created_at=created_at)

    def find(self, name: str) -> Project | None:
        """Return the project of this name."""
        row = self._connection.execute(_FIND, {"name": name}).first()
        return None if row is None else _project(row)

    def page(self, *, before: int | None, limit: int) -> list[Project]:
        """Return the newest projects, of those whose id is below `before`."""
        rows = self._connection.execute(
            _PAGE, {"before": MAX_ID if before is None else before, "most": limit}
        )
        return [_project(row) for row in rows]

    def count(self) -> int:
        """Count the projects."""
        return self._connection.scalar(select(func.count()).select_from(PROJECTS)) or 0

    def set_detector(self, project_id: int, settings: DetectorSettings) -> None:
        """Store the detector settings of a project."""
        mine = PROJECTS.c.id == project_id
        self._connection.execute(update(PROJECTS).where(mine).values(detector_settings=settings))

    def delete(self, project_id: int) -> None:
        """Delete a project that has neither datasets nor models, with its jobs and counts."""
        jobs = delete(PACKAGING_JOBS).where(PACKAGING_JOBS.c.project_id == project_id)
        self._connection.execute(jobs)
        DetectionJobs(self._connection).delete_of_project(project_id)
        DetectionCountRows(self._connection).delete_of_project(project_id)
        self._connection.execute(delete(PROJECTS).where(PROJECTS.c.id == project_id))

    def next_model_version(self, project_id: int) -> int:
        """Count one model more and return its version, which no other model gets."""
        mine = PROJECTS.c.id == project_id
        counted = update(PROJECTS).where(mine).values(models_made=PROJECTS.c.models_made + 1)
        self._connection.execute(counted)
        return self.newest_version(project_id)

    def newest_version(self, project_id: int) -> int:
        """Return the version of the newest model that was ever created; 0 if there was none."""
        statement = select(PROJECTS.c.models_made).where(PROJECTS.c.id == project_id)
        version: int = self._connection.execute(statement).scalar_one()
        return version


def _project(row: Row[Any]) -> Project:
    return Project(
        id=row.id,
        name=row.name,
        created_at=row.created_at,
        detector_settings=row.detector_settings or DEFAULT_SETTINGS,
    )
