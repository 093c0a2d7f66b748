"""Rows of the number of detections of each model and hour."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from blemish.domain.entities import DetectionCount
from blemish.storage.database.tables import DETECTION_COUNTS


class DetectionCountRows:
    """The counts of detections, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, project_id: int, count: DetectionCount) -> None:
        """Add to the counts of an hour."""
        counts = DETECTION_COUNTS.c
        more = (
            update(DETECTION_COUNTS)
            .where(
                counts.project_id == project_id,
                counts.model_version == count.model_version,
                counts.hour == count.hour,
            )
            .values(
                images=counts.images + count.images, anomalies=counts.anomalies + count.anomalies
            )
        )
        if self._connection.execute(more).rowcount:
            return
        first = insert(DETECTION_COUNTS).values(
            project_id=project_id,
            model_version=count.model_version,
            hour=count.hour,
            images=count.images,
            anomalies=count.anomalies,
        )
        self._connection.execute(first)

    def since(self, project_id: int, moment: datetime) -> list[DetectionCount]:
        """Return the hourly counts of a project since a time, oldest first."""
        wanted = (
            select(DETECTION_COUNTS)
            .where(DETECTION_COUNTS.c.project_id == project_id, DETECTION_COUNTS.c.hour >= moment)
            .order_by(DETECTION_COUNTS.c.hour, DETECTION_COUNTS.c.model_version)
        )
        return [
            DetectionCount(
                model_version=row.model_version,
                hour=row.hour,
                images=row.images,
                anomalies=row.anomalies,
            )
            for row in self._connection.execute(wanted)
        ]

    def delete_of_project(self, project_id: int) -> None:
        """Delete the counts of a project."""
        gone = delete(DETECTION_COUNTS).where(DETECTION_COUNTS.c.project_id == project_id)
        self._connection.execute(gone)

    def delete_before(self, moment: datetime) -> int:
        """Delete the counts before a time; return how many."""
        old = delete(DETECTION_COUNTS).where(DETECTION_COUNTS.c.hour < moment)
        return self._connection.execute(old).rowcount
