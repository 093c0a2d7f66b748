"""Datasets: made from a manifest, changed by JSON Lines, listed, deleted.

A request checks, writes a row and answers. `DatasetWork` does the rest later: it reads the manifest
and looks for its images. `update_now` does both at once, for people who wait for a few lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from blemish.domain.access.object_rights import ObjectRights
from blemish.domain.entities import (
    Dataset,
    DatasetEntry,
    DatasetStatus,
    DatasetType,
    ImageStats,
    Label,
    ObjectRef,
    Requester,
)
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ValidationError,
)
from blemish.domain.lifecycle import DATASET_MOVES, DATASET_USABLE, check_dataset_move, sources_of
from blemish.service.client_tokens import ALWAYS, Once
from blemish.service.datasets.line_checks import (
    ImportFailedError,
    LineChecks,
    decoded_lines,
    with_notes,
)
from blemish.service.next_tokens import next_token, token_position
from blemish.service.projects import PAGE_SIZE, require_project
from blemish.storage.database.database import Database
from blemish.storage.rows.all_rows import Rows
from blemish.storage.stored_files import StoredFiles

CREATING = "The dataset is creating."
CREATED = "The dataset was created successfully."
UPDATING = "The dataset is updating."
UPDATED = "The dataset was updated successfully."
DELETING = "The dataset is deleting."

REMOVALS = "removals-"
"""Prefix of the names of files with addresses to remove, one JSON string a line."""


APPLIED = "$applied"
"""Member of the answer to a call that waits: the `AppliedChanges`. No client gets it."""


@dataclass(frozen=True, kw_only=True)
class EntryFilter:
    """Which entries to list; members of None do not filter. Dates are exclusive."""

    labeled: bool | None = None
    label: Label | None = None
    created_before: datetime | None = None
    created_after: datetime | None = None
    contains: str | None = None


@dataclass(frozen=True, kw_only=True)
class AppliedChanges:
    """The entries that a change wrote, and the dataset before and after it."""

    before: Dataset
    after: Dataset
    stats: ImageStats
    #: known images where they stood, new ones at the end
    entries: Sequence[DatasetEntry]


def require_dataset(rows: Rows, project: str, kind: DatasetType) -> Dataset:
    """Return a dataset.

    Raises:
        ResourceNotFoundError: there is no such project, or it has no such dataset.
    """
    require_project(rows, project)
    dataset = rows.datasets.find(project, kind)
    if dataset is None:
        raise ResourceNotFoundError(
            f"Project {project} has no {kind} dataset.",
            resource_type=ResourceType.DATASET,
            resource_id=f"{project}/{kind}",
        )
    return dataset


def _allow(_rows: Rows) -> None:
    """Forbid no change."""


class DatasetService:
    """The datasets of the projects."""

    def __init__(
        self,
        database: Database,
        *,
        stored_files: StoredFiles,
        checks: LineChecks,
        now: Callable[[], datetime],
        new_name: Callable[[], str],
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._stored_files = stored_files
        self._checks = checks
        self._now = now
        self._new_name = new_name
        self._wake = wake

    def create(
        self,
        project: str,
        kind: DatasetType,
        *,
        manifest: ObjectRef | None,
        manifest_version: str | None = None,
        requester: Requester | None = None,
        once: Once[Dataset] = ALWAYS,
    ) -> Dataset:
        """Create a dataset: empty at once, or from a manifest in the background.

        A dataset that is being deleted is gone: this deletes the rest of it first.

        Raises:
            ResourceNotFoundError: there is no such project.
            ConflictError: the project has this dataset already.
        """
        now = self._now()
        with self._database.writing() as rows:
            once.recall(rows)
            owner = require_project(rows, project)
            if existing := rows.datasets.find(project, kind):
                if existing.status is not DatasetStatus.DELETE_IN_PROGRESS:
                    raise ConflictError(
                        f"Project {project} has a {kind} dataset already, which is "
                        f"{existing.status}. Delete it first.",
                        resource_type=ResourceType.DATASET,
                        resource_id=f"{project}/{kind}",
                    )
                rows.datasets.delete(existing.id)
            status = DatasetStatus.CREATE_IN_PROGRESS if manifest else DatasetStatus.CREATE_COMPLETE
            dataset = rows.datasets.add(
                owner.id,
                kind,
                status=status,
                status_message=CREATING if manifest else CREATED,
                manifest=manifest,
                manifest_version=manifest_version,
                requester=requester,
                now=now,
            )
            once.remember(rows, dataset)
        self._wake()
        return dataset

    def describe(self, project: str, kind: DatasetType) -> tuple[Dataset, ImageStats]:
        """Return a dataset and the number of its images.

        Raises:
            ResourceNotFoundError: there is none.
        """
        with self._database.reading() as rows:
            dataset = require_dataset(rows, project, kind)
            return dataset, rows.entries.stats(dataset.id)

    def entries(
        self,
        project: str,
        kind: DatasetType,
        *,
        wanted: EntryFilter,
        token: str | None,
        limit: int = PAGE_SIZE,
    ) -> tuple[list[str], str | None]:
        """Return a page of JSON Lines in the order they came, and the token of the next.

        Raises:
            ResourceNotFoundError: there is no such dataset.
        """
        with self._database.reading() as rows:
            dataset = require_dataset(rows, project, kind)
            scope = f"entries/{dataset.id}"
            page = rows.entries.page(
                dataset.id,
                after=token_position(token, scope) or 0,
                limit=limit + 1,
                labeled=wanted.labeled,
                label=wanted.label,
                created_before=wanted.created_before,
                created_after=wanted.created_after,
                contains=wanted.contains,
            )
        more = len(page) > limit
        return (
            [line for _, line in page[:limit]],
            next_token(scope, page[limit - 1][0]) if more else None,
        )

    def update(
        self,
        project: str,
        kind: DatasetType,
        *,
        changes: bytes,
        requester: Requester | None = None,
        check: Callable[[Rows], None] = _allow,
        once: Once[DatasetStatus] = ALWAYS,
    ) -> DatasetStatus:
        """Store the changes and have them applied in the background.

        Args:
            project: name of the project.
            kind: of the dataset.
            changes: JSON Lines.
            requester: who must be allowed to read the images; None: nobody has to.
            check: raises what forbids the changes, in the transaction that makes the dataset busy.
            once: makes the changes happen once.

        Raises:
            ResourceNotFoundError: there is no such dataset.
            ConflictError: the dataset is busy, or could not be created.
            ValidationError: the changes are not text.
        """
        decoded_lines(changes)
        name = f"changes-{self._new_name()}.jsonl"
        return self._change(
            project, kind, name, changes, requester=requester, check=check, once=once
        )

    def update_now(
        self,
        project: str,
        kind: DatasetType,
        *,
        changes: bytes,
        rights: ObjectRights | None = None,
    ) -> AppliedChanges:
        """Apply a few changes at once, in one transaction.

        It takes as long for a large dataset as for a small one.

        Raises:
            ResourceNotFoundError: there is no such dataset.
            ConflictError: the dataset is busy, or could not be created.
            ValidationError: a line has a problem, or a limit forbids the changes.
        """
        lines = decoded_lines(changes)
        with self._database.reading() as rows:
            dataset = require_dataset(rows, project, kind)
            self._check_move(dataset, DatasetStatus.UPDATE_IN_PROGRESS)
        try:
            checked = self._checks.check(lines, dataset=dataset, rights=rights)
            with self._database.writing() as rows:
                dataset = self._same_dataset(rows, dataset)
                rows.entries.put(dataset.id, checked.entries, now=self._now())
                stats = self._checks.check_limits(rows, dataset, junk=checked.junk)
                message = with_notes(UPDATED, rows, dataset, checked=checked)
                rows.datasets.move(
                    dataset.id,
                    sources=DATASET_USABLE,
                    target=DatasetStatus.UPDATE_COMPLETE,
                    status_message=message,
                    now=self._now(),
                )
                rows.datasets.set_image_bucket(dataset.id, rows.entries.image_bucket(dataset.id))
                return AppliedChanges(
                    before=dataset,
                    after=require_dataset(rows, project, kind),
                    stats=stats,
                    entries=checked.entries,
                )
        except ImportFailedError as error:
            raise ValidationError(f"The dataset was not updated: {error}") from error

    def remove(
        self,
        project: str,
        kind: DatasetType,
        *,
        source_refs: Iterable[str],
        once: Once[DatasetStatus] = ALWAYS,
    ) -> DatasetStatus:
        """Store the addresses of images and have their entries removed in the background.

        Raises:
            ResourceNotFoundError: there is no such dataset.
            ConflictError: the dataset is busy, or could not be created.
        """
        name = f"{REMOVALS}{self._new_name()}.jsonl"
        lines = (json.dumps(ref).encode() + b"\n" for ref in source_refs)
        return self._change(project, kind, name, lines, once=once)

    def delete(
        self, project: str, kind: DatasetType, *, once: Once[DatasetStatus] = ALWAYS
    ) -> DatasetStatus:
        """Delete a dataset in the background; its images stay where they are.

        Raises:
            ResourceNotFoundError: there is no such dataset.
            ConflictError: the dataset is busy.
        """
        target = DatasetStatus.DELETE_IN_PROGRESS
        self._move(project, kind, target, message=DELETING, once=once)
        self._wake()
        return target

    def _change(
        self,
        project: str,
        kind: DatasetType,
        name: str,
        content: bytes | Iterable[bytes],
        *,
        requester: Requester | None = None,
        check: Callable[[Rows], None] = _allow,
        once: Once[DatasetStatus],
    ) -> DatasetStatus:
        """Store the changes in a file of this name, and write the row that names it."""
        target = DatasetStatus.UPDATE_IN_PROGRESS
        with self._database.reading() as rows:
            once.recall(rows)
            self._check_move(require_dataset(rows, project, kind), target)
        self._stored_files.write(name, content)
        try:
            self._move(
                project,
                kind,
                target,
                message=UPDATING,
                check=check,
                once=once,
                changes=name,
                requester=requester,
            )
        except BaseException:
            self._stored_files.delete(name)
            raise
        self._wake()
        return target

    def _move(
        self,
        project: str,
        kind: DatasetType,
        target: DatasetStatus,
        *,
        message: str,
        check: Callable[[Rows], None] = _allow,
        once: Once[DatasetStatus],
        changes: str | None = None,
        requester: Requester | None = None,
    ) -> None:
        with self._database.writing() as rows:
            once.recall(rows)
            dataset = require_dataset(rows, project, kind)
            self._check_move(dataset, target)
            check(rows)
            rows.datasets.move(
                dataset.id,
                sources=sources_of(target, DATASET_MOVES),
                target=target,
                status_message=message,
                now=self._now(),
                changes=changes,
                requester=requester,
            )
            once.remember(rows, target)

    def _same_dataset(self, rows: Rows, dataset: Dataset) -> Dataset:
        """Return a dataset as it is now, if lines that were checked for it still fit.

        Raises:
            ConflictError: it is busy, or another one, or its images are in another bucket now.
        """
        current = require_dataset(rows, dataset.project, dataset.type)
        self._check_move(current, DatasetStatus.UPDATE_IN_PROGRESS)
        if (current.id, current.image_bucket) != (dataset.id, dataset.image_bucket):
            raise ConflictError(
                f"Dataset {dataset.project}/{dataset.type} was replaced meanwhile. Try again.",
                resource_type=ResourceType.DATASET,
                resource_id=f"{dataset.project}/{dataset.type}",
            )
        return current

    @staticmethod
    def _check_move(dataset: Dataset, target: DatasetStatus) -> None:
        check_dataset_move(dataset.status, target, dataset=f"{dataset.project}/{dataset.type}")
