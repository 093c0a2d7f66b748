"""Rows of datasets."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, select, update

from blemish.domain.entities import Dataset, DatasetStatus, DatasetType, ObjectRef, Requester
from blemish.domain.lifecycle import DATASET_IN_PROGRESS, DATASET_MOVES, sources_of
from blemish.storage.database import leases
from blemish.storage.database.tables import DATASETS, ENTRIES, PROJECTS

_SELECT = (
    select(DATASETS, PROJECTS.c.name.label("project"))
    .join_from(DATASETS, PROJECTS)
    .order_by(DATASETS.c.id)
)
# Made once: to build a statement takes longer than to run it.
_FIND = _SELECT.where(
    PROJECTS.c.name == bindparam("of_project"), DATASETS.c.type == bindparam("of_type")
)
_OF_PROJECT = _SELECT.where(DATASETS.c.project_id == bindparam("of_project"))


class Datasets:
    """The datasets, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        project_id: int,
        type: DatasetType,  # noqa: A002 - the entity's own word
        *,
        status: DatasetStatus,
        status_message: str,
        manifest: ObjectRef | None,
        now: datetime,
        manifest_version: str | None = None,
        requester: Requester | None = None,
    ) -> Dataset:
        """Add a dataset; the project must have none of this type."""
        statement = insert(DATASETS).values(
            project_id=project_id,
            type=type,
            status=status,
            status_message=status_message,
            manifest=manifest,
            manifest_version=manifest_version,
            requester=requester,
            created_at=now,
            updated_at=now,
        )
        (dataset_id,) = self._connection.execute(statement).inserted_primary_key or (None,)
        return self._all(_SELECT.where(DATASETS.c.id == dataset_id))[0]

    def find(self, project: str, type: DatasetType) -> Dataset | None:  # noqa: A002
        """Return the dataset of this type of the project of this name."""
        datasets = self._all(_FIND, of_project=project, of_type=type)
        return datasets[0] if datasets else None

    def of_project(self, project_id: int) -> list[Dataset]:
        """Return the datasets of a project, train before test."""
        datasets = self._all(_OF_PROJECT, of_project=project_id)
        return sorted(datasets, key=lambda dataset: list(DatasetType).index(dataset.type))

    def unsettled(self) -> list[Dataset]:
        """Return the datasets that somebody has to work on, oldest first."""
        return self._all(_SELECT.where(DATASETS.c.status.in_(DATASET_IN_PROGRESS)))

    def stored_names(self) -> set[str]:
        """Return the names of kept files that rows speak of."""
        changes = select(DATASETS.c.changes).where(DATASETS.c.changes.is_not(None))
        return set(self._connection.scalars(changes))

    def move(
        self,
        dataset_id: int,
        *,
        sources: Collection[DatasetStatus],
        target: DatasetStatus,
        status_message: str,
        now: datetime,
        changes: str | None = None,
        requester: Requester | None = None,
    ) -> bool:
        """Turn a dataset from one of `sources` to `target` and free it; False if it is in none."""
        return leases.move(
            self._connection,
            DATASETS,
            dataset_id,
            sources=sources,
            status=target,
            status_message=status_message,
            updated_at=now,
            changes=changes,
            requester=requester,
        )

    def claim(
        self, dataset_id: int, *, owner: str, now: datetime, lease_until: datetime
    ) -> int | None:
        """Take a dataset in progress that nobody holds; return the number of the attempt."""
        return leases.claim(
            self._connection,
            DATASETS,
            dataset_id,
            sources=DATASET_IN_PROGRESS,
            owner=owner,
            now=now,
            lease_until=lease_until,
        )

    def renew(self, dataset_id: int, *, attempt: int, lease_until: datetime) -> bool:
        """Hold the dataset longer; False for a stale attempt."""
        return leases.write_held(
            self._connection,
            DATASETS,
            dataset_id,
            attempt=attempt,
            sources=DATASET_IN_PROGRESS,
            lease_until=lease_until,
        )

    def turn(
        self,
        dataset_id: int,
        *,
        attempt: int,
        target: DatasetStatus,
        status_message: str,
        now: datetime,
    ) -> bool:
        """Turn a dataset to another status in progress and go on; False for a stale attempt."""
        return leases.write_held(
            self._connection,
            DATASETS,
            dataset_id,
            attempt=attempt,
            sources=sources_of(target, DATASET_MOVES),
            status=target,
            status_message=status_message,
            updated_at=now,
        )

    def finish(
        self,
        dataset_id: int,
        *,
        attempt: int,
        target: DatasetStatus,
        status_message: str,
        now: datetime,
    ) -> bool:
        """End an attempt and free the dataset; False for a stale attempt, or for no such move."""
        return leases.write_held(
            self._connection,
            DATASETS,
            dataset_id,
            attempt=attempt,
            sources=sources_of(target, DATASET_MOVES),
            status=target,
            status_message=status_message,
            updated_at=now,
            changes=None,
            **leases.SETTLED,
        )

    def set_image_bucket(self, dataset_id: int, bucket: str | None) -> None:
        """Write the bucket that holds all images of the dataset; None without any images."""
        mine = update(DATASETS).where(DATASETS.c.id == dataset_id)
        self._connection.execute(mine.values(image_bucket=bucket))

    def delete(self, dataset_id: int) -> None:
        """Delete a dataset with its entries."""
        self._connection.execute(delete(ENTRIES).where(ENTRIES.c.dataset_id == dataset_id))
        self._connection.execute(delete(DATASETS).where(DATASETS.c.id == dataset_id))

    def _all(self, statement: Select[Any], **values: Any) -> list[Dataset]:
        return [_dataset(row) for row in self._connection.execute(statement, values)]


def _dataset(row: Row[Any]) -> Dataset:
    return Dataset(
        id=row.id,
        project=row.project,
        type=DatasetType(row.type),
        status=DatasetStatus(row.status),
        status_message=row.status_message,
        created_at=row.created_at,
        updated_at=row.updated_at,
        manifest=row.manifest,
        manifest_version=row.manifest_version,
        image_bucket=row.image_bucket,
        changes=row.changes,
        requester=row.requester,
        attempt=row.attempt,
        interruptions=row.interruptions,
        not_before=row.not_before,
    )
