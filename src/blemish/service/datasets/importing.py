"""The work behind a dataset's status: importing its manifest, applying changes, deleting it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.access.object_rights import ObjectRights
from blemish.domain.entities import Dataset, DatasetStatus, Requester
from blemish.domain.limits import Limits
from blemish.service.datasets.datasets import CREATED, REMOVALS, UPDATED
from blemish.service.datasets.line_checks import (
    CheckedLines,
    ImportFailedError,
    LineChecks,
    problem_sentence,
    with_notes,
)
from blemish.service.objects import Objects
from blemish.storage.database.database import Database
from blemish.storage.errors import DatabaseWriteError
from blemish.storage.rows.all_rows import Rows
from blemish.storage.stored_files import StoredFiles

logger: FilteringBoundLogger = structlog.get_logger(__name__)

FAILURES = {
    DatasetStatus.CREATE_IN_PROGRESS: DatasetStatus.CREATE_FAILED,
    DatasetStatus.UPDATE_IN_PROGRESS: DatasetStatus.UPDATE_FAILED_ROLLBACK_IN_PROGRESS,
    DatasetStatus.UPDATE_FAILED_ROLLBACK_IN_PROGRESS: DatasetStatus.UPDATE_FAILED_ROLLBACK_COMPLETE,
    DatasetStatus.DELETE_IN_PROGRESS: DatasetStatus.DELETE_FAILED,
}
NO_ROOM = "the server has no room on its disk, or may not write there. Make room and try again."


class DatasetWork:
    """Brings a dataset from a status in progress to the one that follows."""

    def __init__(
        self,
        database: Database,
        *,
        objects: Objects,
        stored_files: StoredFiles,
        limits: Limits,
        rights: Callable[[Requester], ObjectRights],
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._objects = objects
        self._stored_files = stored_files
        self._limits = limits
        self._checks = LineChecks(objects=objects, limits=limits)
        self._rights = rights
        self._now = now

    def carry_out(self, dataset: Dataset, *, attempt: int) -> None:
        """Do what the status of `dataset` asks for; a stale attempt changes nothing."""
        try:
            self._carry_out(dataset, attempt)
        except DatabaseWriteError as error:
            logger.warning("the dataset could not be written", reason=str(error))
            self.give_up(dataset, attempt=attempt, reason=NO_ROOM)

    def _carry_out(self, dataset: Dataset, attempt: int) -> None:
        match dataset.status:
            case DatasetStatus.CREATE_IN_PROGRESS:
                self._create(dataset, attempt)
            case DatasetStatus.UPDATE_IN_PROGRESS:
                self._update(dataset, attempt)
            case DatasetStatus.UPDATE_FAILED_ROLLBACK_IN_PROGRESS:
                self._fail(dataset, attempt, dataset.status_message)
            case DatasetStatus.DELETE_IN_PROGRESS:
                with self._database.writing() as rows:
                    if rows.datasets.renew(dataset.id, attempt=attempt, lease_until=self._now()):
                        rows.datasets.delete(dataset.id)

    def give_up(self, dataset: Dataset, *, attempt: int, reason: str) -> None:
        """Turn the dataset to the failure that its status knows, if it is still this attempt's."""
        self._fail(dataset, attempt, f"The dataset is unchanged: {reason}")

    def _create(self, dataset: Dataset, attempt: int) -> None:
        assert dataset.manifest is not None
        lines = self._objects.read_lines(
            dataset.manifest,
            max_bytes=self._limits.max_manifest_bytes,
            version=dataset.manifest_version,
        )
        try:
            checked = self._checks.check(lines, dataset=dataset, rights=self._rights_of(dataset))
            self._write(
                dataset,
                attempt,
                target=DatasetStatus.CREATE_COMPLETE,
                message=CREATED,
                checked=checked,
            )
        except ImportFailedError as error:
            self._fail(dataset, attempt, f"The dataset was not created: {error}")

    def _update(self, dataset: Dataset, attempt: int) -> None:
        assert dataset.changes is not None
        lines = self._stored_files.lines(dataset.changes)
        checked, removed = None, None
        try:
            if dataset.changes.startswith(REMOVALS):
                removed = self._checked_removals(lines, dataset=dataset)
            else:
                checked = self._checks.check(
                    lines, dataset=dataset, rights=self._rights_of(dataset)
                )
            self._write(
                dataset,
                attempt,
                target=DatasetStatus.UPDATE_COMPLETE,
                message=UPDATED,
                checked=checked,
                removed=removed,
            )
        except ImportFailedError as error:
            self._fail(dataset, attempt, f"The dataset was not updated: {error}")

    def _fail(self, dataset: Dataset, attempt: int, message: str) -> None:
        """End in the failure that the status knows; of an update, by way of its rollback.

        Entries and status are written in one transaction, so the rollback only deletes the file of
        the changes.
        """
        logger.warning("a change of a dataset failed", reason=message)
        target = FAILURES[dataset.status]
        with self._database.writing() as rows:
            if target is DatasetStatus.UPDATE_FAILED_ROLLBACK_IN_PROGRESS:
                rows.datasets.turn(
                    dataset.id,
                    attempt=attempt,
                    target=target,
                    status_message=message,
                    now=self._now(),
                )
                target = FAILURES[target]
            current = self._finish(rows, dataset, attempt, target=target, message=message)
        self._delete_changes(dataset, current=current)

    def _write(
        self,
        dataset: Dataset,
        attempt: int,
        *,
        target: DatasetStatus,
        message: str,
        checked: CheckedLines | None = None,
        removed: Sequence[str] | None = None,
    ) -> None:
        """Write the changed entries and the status that says so, in one transaction.

        Raises:
            ImportFailedError: the dataset would have more than a limit allows.
        """
        now = self._now()
        with self._database.writing() as rows:
            current = rows.datasets.renew(dataset.id, attempt=attempt, lease_until=now)
            if current and checked is not None:
                rows.entries.put(dataset.id, checked.entries, now=now)
                self._checks.check_limits(rows, dataset, junk=checked.junk)
            if current and removed is not None:
                rows.entries.remove(dataset.id, removed)
            if current:
                message = with_notes(message, rows, dataset, checked=checked)
                self._finish(rows, dataset, attempt, target=target, message=message)
                rows.datasets.set_image_bucket(dataset.id, rows.entries.image_bucket(dataset.id))
        self._delete_changes(dataset, current=current)

    def _finish(
        self, rows: Rows, dataset: Dataset, attempt: int, *, target: DatasetStatus, message: str
    ) -> bool:
        return rows.datasets.finish(
            dataset.id, attempt=attempt, target=target, status_message=message, now=self._now()
        )

    def _rights_of(self, dataset: Dataset) -> ObjectRights | None:
        return None if dataset.requester is None else self._rights(dataset.requester)

    def _delete_changes(self, dataset: Dataset, *, current: bool) -> None:
        if current and dataset.changes:
            self._stored_files.delete(dataset.changes)

    def _checked_removals(self, lines: Iterable[str], *, dataset: Dataset) -> list[str]:
        """Read the images whose entries are to be removed; each must have one.

        Raises:
            ImportFailedError: the dataset has no entry of one of them.
        """
        refs = list(dict.fromkeys(json.loads(line) for line in lines))
        with self._database.reading() as rows:
            unknown = rows.entries.unknown(dataset.id, refs)
        if unknown:
            raise ImportFailedError(
                problem_sentence([f"it has no entry of {ref}" for ref in unknown])
            )
        return refs
