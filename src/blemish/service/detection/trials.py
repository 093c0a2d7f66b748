"""Trials: their results, what people say of them, and their use in datasets.

People look first at images on which the model erred, which would bias a test set. So a test set
takes only a whole trial, in which every result is verified; a training set takes all verified
images. Neither takes an image of the other one, nor any image while the other one changes.
"""

from __future__ import annotations

from collections.abc import Collection

from blemish.domain.detection_jobs import (
    DetectionJob,
    DetectionJobKind,
    DetectionJobStatus,
    TrialImage,
)
from blemish.domain.entities import DatasetEntry, DatasetStatus, DatasetType, Requester
from blemish.domain.errors import ConflictError, ResourceType, ValidationError
from blemish.domain.lifecycle import DATASET_IN_PROGRESS
from blemish.domain.manifest import LineProblem, parse_manifest
from blemish.service.client_tokens import ALWAYS, Once
from blemish.service.datasets.datasets import DatasetService
from blemish.service.datasets.line_checks import problem_sentence
from blemish.service.detection.jobs import require_job
from blemish.service.next_tokens import next_token, token_position
from blemish.service.projects import PAGE_SIZE
from blemish.storage.database.database import Database
from blemish.storage.rows.all_rows import Rows

TRIAL = DetectionJobKind.TRIAL


class TrialService:
    """The results of trials, verified and added to datasets."""

    def __init__(self, database: Database, *, datasets: DatasetService) -> None:
        self._database = database
        self._datasets = datasets

    def images(
        self,
        project: str,
        name: str,
        *,
        verified: bool | None,
        token: str | None,
        limit: int = PAGE_SIZE,
    ) -> tuple[list[TrialImage], str | None]:
        """Return a page of what a trial found, in the order of its list.

        Raises:
            ResourceNotFoundError: there is no such trial.
        """
        with self._database.reading() as rows:
            job = require_job(rows, project, TRIAL, name)
            scope = f"trial/{job.id}"
            after = token_position(token, scope) or 0
            images = rows.trial_images.page(job.id, after=after, limit=limit + 1, verified=verified)
        more = len(images) > limit
        return images[:limit], next_token(scope, images[limit - 1].position) if more else None

    def verify(self, project: str, name: str, *, entries: bytes) -> int:
        """Keep what a person says of images; return how many.

        Args:
            project: name of the project.
            name: of the trial.
            entries: JSON Lines as of a dataset, each with a label, and a mask if there is one.

        Raises:
            ResourceNotFoundError: there is no such trial.
            ConflictError: it is not through.
            ValidationError: a line is wrong, has no label, or is of an image outside the trial.
        """
        parsed = _parsed(entries)
        with self._database.writing() as rows:
            job = self._finished(rows, project, name)
            detected = rows.trial_images.detected_refs(job.id)
            problems = [
                str(LineProblem(number=number, text=text))
                for number, entry in parsed
                for text in _unfit(entry, detected)
            ]
            if problems:
                raise ValidationError(f"Entries is wrong: {problem_sentence(problems)}")
            lines = {str(entry.image): entry.line for _, entry in parsed}
            rows.trial_images.verify(job.id, lines)
        return len(lines)

    def add_to_dataset(
        self,
        project: str,
        name: str,
        *,
        kind: DatasetType,
        requester: Requester | None = None,
        once: Once[DatasetStatus] = ALWAYS,
    ) -> DatasetStatus:
        """Have the verified images added to a dataset in a while.

        Raises:
            ResourceNotFoundError: there is no such trial or dataset.
            ConflictError: the trial is not through, nothing is verified, a dataset of the project
                is busy, or the other one has images of it; or it is the test set, and not all is
                verified.
        """
        with self._database.reading() as rows:
            once.recall(rows)
            job = self._finished(rows, project, name)
            verified = rows.trial_images.verified(job.id)
            if not verified:
                raise _conflict(job, "no image of it is verified. Verify some first")
            if kind is DatasetType.TEST:
                _check_whole(job, verified, rows.trial_images.detected_refs(job.id))
        return self._datasets.update(
            project,
            kind,
            changes="\n".join(verified.values()).encode(),
            requester=requester,
            check=lambda rows: _check_apart(rows, job, verified, kind),
            once=once,
        )

    def check_apart(self, project: str, kind: DatasetType, refs: Collection[str]) -> None:
        """Keep images that are to be added to a dataset apart from the other one.

        Raises:
            ConflictError: the other dataset of the project has some of them, or is busy.
        """
        with self._database.reading() as rows:
            if problem := _shared(rows, project, refs, kind):
                raise ConflictError(
                    f"Nothing was added: {problem}.",
                    resource_type=ResourceType.DATASET,
                    resource_id=f"{project}/{kind}",
                )

    @staticmethod
    def _finished(rows: Rows, project: str, name: str) -> DetectionJob:
        job = require_job(rows, project, TRIAL, name)
        if job.status is not DetectionJobStatus.SUCCEEDED:
            raise _conflict(job, f"it is {job.status}; it must be SUCCEEDED")
        return job


def _check_whole(job: DetectionJob, verified: Collection[str], detected: Collection[str]) -> None:
    if missing := len(detected) - len(verified):
        raise _conflict(
            job,
            f"{missing} of the {len(detected)} images that it judged are not verified. Images "
            "that were picked out would bias a test set: verify all of them, or add them to the "
            "training set",
        )


def _check_apart(
    rows: Rows, job: DetectionJob, verified: Collection[str], kind: DatasetType
) -> None:
    """Keep the two datasets of a project from sharing images."""
    if problem := _shared(rows, job.project, verified, kind):
        raise _conflict(job, problem)


def _shared(rows: Rows, project: str, refs: Collection[str], kind: DatasetType) -> str | None:
    """Say why images for a dataset may be in the other one of the project; None if none is."""
    (other,) = set(DatasetType) - {kind}
    beside = rows.datasets.find(project, other)
    if beside is None or beside.status is DatasetStatus.DELETE_IN_PROGRESS:
        return None
    if beside.status in DATASET_IN_PROGRESS:  # its entries come only at the end of that
        return f"the {other} dataset is {beside.status}, and may get the same. Wait for its end"
    shared = set(refs) - set(rows.entries.unknown(beside.id, refs))
    if not shared:
        return None
    return (
        f"{len(shared)} of its images {'is' if len(shared) == 1 else 'are'} in the "
        f"{other} dataset, {min(shared)} among them. What a model was trained on cannot test it"
    )


def _parsed(entries: bytes) -> list[tuple[int, DatasetEntry]]:
    try:
        text = entries.decode()
    except UnicodeDecodeError as error:
        raise ValidationError(
            f"Entries must be JSON Lines in UTF-8; byte {error.start} is not."
        ) from None
    problems: list[LineProblem] = []
    parsed = list(parse_manifest(text.split("\n"), problems))
    if problems:
        raise ValidationError(
            f"Entries is wrong: {problem_sentence([str(problem) for problem in problems])}"
        )
    if not parsed:
        raise ValidationError("Entries must hold at least one JSON Line.")
    return parsed


def _unfit(entry: DatasetEntry, detected: Collection[str]) -> list[str]:
    problems = []
    if str(entry.image) not in detected:
        problems.append(f"{entry.image} is no image that the trial judged")
    if entry.label is None:
        problems.append(f"{entry.image} has no label")
    return problems


def _conflict(job: DetectionJob, reason: str) -> ConflictError:
    return ConflictError(
        f"Trial detection {job.name} of project {job.project}: {reason}.",
        resource_type=ResourceType.TRIAL,
        resource_id=f"{job.project}/{job.name}",
    )
