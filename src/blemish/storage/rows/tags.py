"""Rows of tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, delete, insert, select

from blemish.domain.entities import Model
from blemish.storage.database.tables import TAGS

# Built once, since building a statement takes longer than running it.
_OF_MODEL = select(TAGS.c.key, TAGS.c.value).where(TAGS.c.model_id == bindparam("of_model"))


class Tags:
    """The tags of models, within one transaction.

    `Models.delete` deletes the tags of a model with it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, model: Model) -> dict[str, str]:
        """Return the tags of a model by their keys, in the order of the keys."""
        rows = self._connection.execute(_OF_MODEL, {"of_model": model.id})
        return dict(sorted((row.key, row.value) for row in rows))

    def put(self, model: Model, tags: Mapping[str, str]) -> None:
        """Add tags to a model; an existing key gets the new value."""
        self.remove(model, tags)
        if tags:
            self._connection.execute(
                insert(TAGS),
                [{"model_id": model.id, "key": key, "value": tags[key]} for key in tags],
            )

    def remove(self, model: Model, keys: Iterable[str]) -> None:
        """Remove the tags with these keys, if they exist."""
        mine = TAGS.c.model_id == model.id
        self._connection.execute(delete(TAGS).where(mine, TAGS.c.key.in_(keys)))
