"""Rows of projects and models in the trash of the console."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select

from blemish.domain.entities import TrashItem
from blemish.storage.database.access_tables import TRASH
from blemish.storage.database.tables import MODELS, PROJECTS

WHOLE_PROJECT = 0
"""Instead of the id of a model, none of which is 0."""

_ALL = (
    select(
        TRASH,
        PROJECTS.c.name.label("project"),
        MODELS.c.version,
    )
    .join(PROJECTS, PROJECTS.c.id == TRASH.c.project_id)
    .outerjoin(MODELS, MODELS.c.id == TRASH.c.model_id)
    .where(or_(TRASH.c.model_id == WHOLE_PROJECT, MODELS.c.id.is_not(None)))
    .order_by(TRASH.c.moved_at.desc(), TRASH.c.project_id, TRASH.c.model_id)
)


class TrashRows:
    """The items of the trash, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, project_id: int, model_id: int, *, moved_by: str, moved_at: datetime) -> None:
        """Add a project or a model; nothing changes if it is there already."""
        if self._connection.execute(select(TRASH).where(_is(project_id, model_id))).first() is None:
            values = {"project_id": project_id, "model_id": model_id}
            self._connection.execute(
                insert(TRASH).values(**values, moved_by=moved_by, moved_at=moved_at)
            )

    def all(self) -> list[TrashItem]:
        """Return the items that still exist, the newest first."""
        return [TrashItem(**row) for row in self._connection.execute(_ALL).mappings()]

    def delete(self, project_id: int, model_id: int) -> bool:
        """Take an item out; return whether it was there."""
        return self._connection.execute(delete(TRASH).where(_is(project_id, model_id))).rowcount > 0

    def delete_remains(self) -> None:
        """Delete the rows of projects and models that no longer exist."""
        gone = or_(
            TRASH.c.project_id.not_in(select(PROJECTS.c.id)),
            and_(
                TRASH.c.model_id != WHOLE_PROJECT,
                TRASH.c.model_id.not_in(select(MODELS.c.id)),
            ),
        )
        self._connection.execute(delete(TRASH).where(gone))


def _is(project_id: int, model_id: int) -> ColumnElement[bool]:
    return and_(TRASH.c.project_id == project_id, TRASH.c.model_id == model_id)
