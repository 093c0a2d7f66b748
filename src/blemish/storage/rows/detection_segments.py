"""Rows of the results that detection jobs in progress share between servers."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from blemish.domain.detection_jobs import DetectionSegment
from blemish.domain.lifecycle import JOB_IN_PROGRESS
from blemish.storage.database.tables import DETECTION_JOBS, DETECTION_SEGMENTS


class DetectionSegments:
    """The segments of all jobs, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_job(self, job_id: int) -> list[DetectionSegment]:
        """Return the segments of a job, in order."""
        mine = select(DETECTION_SEGMENTS).where(DETECTION_SEGMENTS.c.job_id == job_id)
        return [
            DetectionSegment(
                file=row.file,
                origin_sha256=row.origin_sha256,
                normal=row.normal_images,
                anomaly=row.anomaly_images,
                failed=row.failed_images,
            )
            for row in self._connection.execute(mine.order_by(DETECTION_SEGMENTS.c.position))
        ]

    def add(self, job_id: int, segment: DetectionSegment, *, position: int) -> None:
        """Add the next segment of a job."""
        statement = insert(DETECTION_SEGMENTS).values(
            job_id=job_id,
            position=position,
            file=segment.file,
            origin_sha256=segment.origin_sha256,
            normal_images=segment.normal,
            anomaly_images=segment.anomaly,
            failed_images=segment.failed,
        )
        self._connection.execute(statement)

    def delete(self, job_id: int) -> list[str]:
        """Delete the segments of a job; return the names of their files."""
        mine = DETECTION_SEGMENTS.c.job_id == job_id
        files = list(self._connection.scalars(select(DETECTION_SEGMENTS.c.file).where(mine)))
        if files:
            self._connection.execute(delete(DETECTION_SEGMENTS).where(mine))
        return files

    def delete_all(self) -> None:
        """Delete every segment, and no file."""
        self._connection.execute(delete(DETECTION_SEGMENTS))

    def stored_names(self) -> set[str]:
        """Return the names of the files of jobs in progress.

        An older server, which knows no segments, may have ended a job and left the others.
        """
        named = select(DETECTION_SEGMENTS.c.file).join(DETECTION_JOBS)
        return set(
            self._connection.scalars(named.where(DETECTION_JOBS.c.status.in_(JOB_IN_PROGRESS)))
        )
