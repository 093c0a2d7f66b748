"""The work behind a dataset's status: reading its manifest, applying changes, deleting it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import chain, takewhile

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.entities import Dataset, DatasetEntry, DatasetStatus, DatasetType, ObjectRef
from blemish.domain.limits import Limits
from blemish.domain.manifest import LineProblem, parse_manifest
from blemish.service.datasets.datasets import CREATED, REMOVALS
from blemish.service.objects import Objects
from blemish.storage.database.database import Database, Rows
from blemish.storage.errors import DatabaseWriteError, EncryptionError, ObjectError
from blemish.storage.stored_files import StoredFiles

logger: FilteringBoundLogger = structlog.get_logger(__name__)

UPDATED = "The dataset was updated successfully."
SHOWN_PROBLEMS = 5
COUNTED_PROBLEMS = 10_000
"""A file with more broken lines is no manifest, and is read no further."""

FAILURES = {
    DatasetStatus.CREATE_IN_PROGRESS: DatasetStatus.CREATE_FAILED,
    DatasetStatus.UPDATE_IN_PROGRESS: DatasetStatus.UPDATE_FAILED_ROLLBACK_IN_PROGRESS,
    DatasetStatus.UPDATE_FAILED_ROLLBACK_IN_PROGRESS: DatasetStatus.UPDATE_FAILED_ROLLBACK_COMPLETE,
    DatasetStatus.DELETE_IN_PROGRESS: DatasetStatus.DELETE_FAILED,
}
NO_ROOM = "the server has no room on its disk, or may not write there. Make room and try again."


class ImportFailedError(Exception):
    """The lines cannot become entries; the message says why, for people."""


class DatasetWork:
    """Brings a dataset from a status in progress to the one that follows."""

    def __init__(
        self,
        database: Database,
        *,
        objects: Objects,
        stored_files: StoredFiles,
        limits: Limits,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._objects = objects
        self._stored_files = stored_files
        self._limits = limits
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
        try:
            lines = self._objects.read_lines(
                dataset.manifest,
                max_bytes=self._limits.max_manifest_bytes,
                version=dataset.manifest_version,
            )
            entries = self._checked_entries(lines, dataset=dataset)
        except ImportFailedError as error:
            self._fail(dataset, attempt, f"The dataset was not created: {error}")
        else:
            self._finish(
                dataset,
                attempt,
                target=DatasetStatus.CREATE_COMPLETE,
                status_message=CREATED,
                entries=entries,
            )

    def _update(self, dataset: Dataset, attempt: int) -> None:
        assert dataset.changes is not None
        lines = self._stored_files.lines(dataset.changes)
        entries, removed = [], []
        try:
            if dataset.changes.startswith(REMOVALS):
                removed = self._checked_removals(lines, dataset=dataset)
            else:
                entries = self._checked_entries(lines, dataset=dataset)
        except ImportFailedError as error:
            self._fail(dataset, attempt, f"The dataset was not updated: {error}")
        else:
            self._finish(
                dataset,
                attempt,
                target=DatasetStatus.UPDATE_COMPLETE,
                status_message=UPDATED,
                entries=entries,
                removed=removed,
            )

    def _fail(self, dataset: Dataset, attempt: int, message: str) -> None:
        """End in the failure that the status knows; of an update, by way of its rollback.

        Entries and status are written in one transaction, so all there is to roll back is the file
        of the changes.
        """
        logger.warning("a change of a dataset failed", reason=message)
        target = FAILURES[dataset.status]
        if target is DatasetStatus.UPDATE_FAILED_ROLLBACK_IN_PROGRESS:
            with self._database.writing() as rows:
                rows.datasets.turn(
                    dataset.id,
                    attempt=attempt,
                    target=target,
                    status_message=message,
                    now=self._now(),
                )
            target = FAILURES[target]
        self._finish(dataset, attempt, target=target, status_message=message)

    def _finish(
        self,
        dataset: Dataset,
        attempt: int,
        *,
        target: DatasetStatus,
        status_message: str,
        entries: Sequence[DatasetEntry] = (),
        removed: Sequence[str] = (),
    ) -> None:
        now = self._now()
        with self._database.writing() as rows:
            bucket = entries[0].image.bucket if entries else dataset.image_bucket
            current = rows.datasets.finish(
                dataset.id,
                attempt=attempt,
                target=target,
                status_message=status_message,
                now=now,
                image_bucket=bucket,
            )
            if current and entries:
                rows.entries.put(dataset.id, entries, now=now)
            if current and removed:
                rows.entries.remove(dataset.id, removed)
                if rows.entries.image_bucket(dataset.id) is None:
                    rows.datasets.forget_image_bucket(dataset.id)
        if current and dataset.changes:
            self._stored_files.delete(dataset.changes)

    def _checked_entries(self, lines: Iterable[str], *, dataset: Dataset) -> list[DatasetEntry]:
        """Parse and check lines that the dataset is made of, or changed by.

        Raises:
            ImportFailedError: anything is wrong with any of them.
        """
        most = self._most_images(dataset.type)
        problems: list[LineProblem] = []
        try:
            parsed = last_of_each_image(lines, problems, most=most)
            problems += self._misplaced(parsed, bucket=dataset.image_bucket)
            if not problems:
                problems += self._missing(parsed)
        except (ObjectError, EncryptionError) as error:
            raise ImportFailedError(str(error)) from error
        if problems:
            problems.sort(key=lambda found: found.number)
            raise ImportFailedError(problem_sentence([str(problem) for problem in problems]))
        entries = [entry for _, entry in parsed]
        self._check_counts(entries, dataset=dataset, most=most)
        return entries

    def _checked_removals(self, lines: Iterable[str], *, dataset: Dataset) -> list[str]:
        """Read which images' entries are to be removed; each must have one.

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

    def _most_images(self, kind: DatasetType) -> int:
        train = kind is DatasetType.TRAIN
        return self._limits.max_training_images if train else self._limits.max_test_images

    def _check_counts(self, entries: list[DatasetEntry], *, dataset: Dataset, most: int) -> None:
        """Count what the dataset will have, together with the entries that it has already.

        The limit on anomaly types is the project's, so those of its other dataset count too.
        """
        with self._database.reading() as rows:
            types_of = {entry.image: _types(entry) for entry in rows.entries.stream(dataset.id)}
            types_beside = _types_beside(rows, dataset)
        types_of |= {entry.image: _types(entry) for entry in entries}
        images, types = len(types_of), frozenset[str]().union(*types_of.values())
        if not images:
            raise ImportFailedError("the manifest has no line.")
        if images > most:
            raise ImportFailedError(f"it would have more than {most} images, the most allowed.")
        if types and len(types | types_beside) > self._limits.max_anomaly_types:
            raise ImportFailedError(
                f"the project would have {len(types | types_beside)} anomaly types; "
                f"at most {self._limits.max_anomaly_types} are allowed."
            )
        train = dataset.type is DatasetType.TRAIN
        most_masked = (
            self._limits.max_masked_training_images
            if train
            else self._limits.max_masked_test_images
        )
        if types and images > most_masked:
            raise ImportFailedError(
                f"it would have masks and {images} images; "
                f"with masks at most {most_masked} are allowed."
            )

    @staticmethod
    def _misplaced(
        parsed: list[tuple[int, DatasetEntry]], *, bucket: str | None
    ) -> list[LineProblem]:
        """Find images and masks outside the one bucket of the dataset."""
        home = bucket or (parsed[0][1].image.bucket if parsed else "")
        return [
            LineProblem(number=number, text=f"{ref} is not in the bucket {home} of the dataset")
            for number, entry in parsed
            for ref in _refs(entry)
            if ref.bucket != home
        ]

    def _missing(self, parsed: list[tuple[int, DatasetEntry]]) -> list[LineProblem]:
        """Find images and masks that do not exist, by listing their bucket."""
        wanted = {ref for _, entry in parsed for ref in _refs(entry)}
        there = self._objects.existing(wanted)
        return [
            LineProblem(number=number, text=f"{ref} does not exist")
            for number, entry in parsed
            for ref in _refs(entry)
            if ref not in there
        ]


def last_of_each_image(
    lines: Iterable[str], problems: list[LineProblem], *, most: int
) -> list[tuple[int, DatasetEntry]]:
    """Parse lines until there is one image too many, or enough is wrong with them."""
    parsed: dict[ObjectRef, tuple[int, DatasetEntry]] = {}
    tolerable = takewhile(lambda _: len(problems) < COUNTED_PROBLEMS, lines)
    for number, entry in parse_manifest(tolerable, problems):
        parsed[entry.image] = (number, entry)
        if len(parsed) > most:
            break
    return list(parsed.values())


def _types_beside(rows: Rows, dataset: Dataset) -> frozenset[str]:
    """Return the anomaly types of the other dataset of the project."""
    kinds = [kind for kind in DatasetType if kind is not dataset.type]
    others = filter(None, (rows.datasets.find(dataset.project, kind) for kind in kinds))
    entries = chain.from_iterable(rows.entries.stream(other.id) for other in others)
    return frozenset().union(*map(_types, entries))


def _types(entry: DatasetEntry) -> frozenset[str]:
    return entry.mask.anomaly_types if entry.mask else frozenset()


def _refs(entry: DatasetEntry) -> list[ObjectRef]:
    return [entry.image, entry.mask.ref] if entry.mask else [entry.image]


def problem_sentence(problems: list[str]) -> str:
    """Say what is wrong first, and how much more is."""
    shown = "; ".join(problems[:SHOWN_PROBLEMS])
    more = len(problems) - SHOWN_PROBLEMS
    if more <= 0:
        return f"{shown}."
    return f"{shown}; and {more} more problem{'s' if more > 1 else ''}."
