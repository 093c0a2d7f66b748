"""Rows of the results of trials, one for each image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from blemish.domain.detection_jobs import TrialImage
from blemish.storage.database.tables import TRIAL_IMAGES


class TrialImages:
    """The images of trials, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, job_id: int, images: Iterable[TrialImage]) -> None:
        """Replace the results of a trial."""
        self._connection.execute(delete(TRIAL_IMAGES).where(TRIAL_IMAGES.c.job_id == job_id))
        rows = [
            {
                "job_id": job_id,
                "position": image.position,
                "source_ref": image.source_ref,
                "is_anomalous": image.is_anomalous,
                "confidence": image.confidence,
                "error": image.error,
                "verified_line": image.verified_line,
            }
            for image in images
        ]
        if rows:
            self._connection.execute(insert(TRIAL_IMAGES), rows)

    def page(
        self, job_id: int, *, after: int, limit: int, verified: bool | None
    ) -> list[TrialImage]:
        """Return the first images after a position, optionally only verified or unverified ones."""
        statement = select(TRIAL_IMAGES).where(
            TRIAL_IMAGES.c.job_id == job_id, TRIAL_IMAGES.c.position > after
        )
        if verified is not None:
            has_line = TRIAL_IMAGES.c.verified_line.is_not(None)
            statement = statement.where(has_line if verified else ~has_line)
        rows = self._connection.execute(statement.order_by(TRIAL_IMAGES.c.position).limit(limit))
        return [_image(row) for row in rows]

    def detected_refs(self, job_id: int) -> set[str]:
        """Return the addresses of the images with a result."""
        mine = select(TRIAL_IMAGES.c.source_ref).where(
            TRIAL_IMAGES.c.job_id == job_id, TRIAL_IMAGES.c.error.is_(None)
        )
        return set(self._connection.scalars(mine))

    def verify(self, job_id: int, lines: Mapping[str, str]) -> None:
        """Store the verified JSON Lines of images, by address."""
        statement = (
            update(TRIAL_IMAGES)
            .where(
                TRIAL_IMAGES.c.job_id == job_id,
                TRIAL_IMAGES.c.source_ref == bindparam("of_image"),
            )
            .values(verified_line=bindparam("line"))
        )
        values = [{"of_image": ref, "line": line} for ref, line in lines.items()]
        self._connection.execute(statement, values)

    def verified(self, job_id: int) -> dict[str, str]:
        """Return the verified JSON Lines by the addresses of their images, in order."""
        mine = select(TRIAL_IMAGES.c.source_ref, TRIAL_IMAGES.c.verified_line).where(
            TRIAL_IMAGES.c.job_id == job_id, TRIAL_IMAGES.c.verified_line.is_not(None)
        )
        rows = self._connection.execute(mine.order_by(TRIAL_IMAGES.c.position))
        return {row.source_ref: row.verified_line for row in rows}


def _image(row: Row[Any]) -> TrialImage:
    return TrialImage(
        position=row.position,
        source_ref=row.source_ref,
        is_anomalous=row.is_anomalous,
        confidence=row.confidence,
        error=row.error,
        verified_line=row.verified_line,
    )
