"""Starting, describing, listing and cancelling detection jobs.

What takes time is done later, by whoever owns the row (`judging`). A request only checks, writes
the row and answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from blemish.domain.access.object_rights import WRITE, ObjectRights
from blemish.domain.arns import ArnScope
from blemish.domain.detection_jobs import (
    WORDS,
    DetectionJob,
    DetectionJobKind,
    result_key,
)
from blemish.domain.entities import Model, ObjectRef
from blemish.domain.errors import (
    ConflictError,
    ResourceNotFoundError,
    ResourceType,
    ValidationError,
)
from blemish.domain.lifecycle import JOB_IN_PROGRESS, MODEL_WITH_BUNDLE
from blemish.domain.manifest import SOURCE, object_ref
from blemish.service.client_tokens import ALWAYS, Once
from blemish.service.models.models import require_model
from blemish.service.next_tokens import next_token, token_position
from blemish.service.objects import Objects, check_output
from blemish.service.projects import PAGE_SIZE, require_project
from blemish.storage.database.database import Database
from blemish.storage.rows.all_rows import Rows
from blemish.storage.stored_files import StoredFiles

QUEUED = "The images wait to be judged."


@dataclass(frozen=True, kw_only=True)
class ImageList:
    """The images of a job: those of a manifest, or `images` as `s3://bucket/key`."""

    manifest: ObjectRef | None
    images: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Output:
    """The location of a result manifest."""

    bucket: str
    prefix: str | None


def require_job(rows: Rows, project: str, kind: DetectionJobKind, name: str) -> DetectionJob:
    """Find a job.

    Raises:
        ResourceNotFoundError: the project does not exist, or it has no such job.
    """
    require_project(rows, project)
    job = rows.detection_jobs.find(project, kind, name)
    if job is None:
        raise ResourceNotFoundError(
            f"Project {project} has no {WORDS[kind]} {name}.",
            resource_type=ResourceType.TRIAL,
            resource_id=f"{project}/{name}",
        )
    return job


class DetectionJobService:
    """The batches and the trials of the projects."""

    def __init__(
        self,
        database: Database,
        *,
        objects: Objects,
        stored_files: StoredFiles,
        arns: ArnScope,
        now: Callable[[], datetime],
        new_name: Callable[[], str],
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._objects = objects
        self._stored_files = stored_files
        self._arns = arns
        self._now = now
        self._new_name = new_name
        self._wake = wake

    def start(
        self,
        project: str,
        version: str,
        *,
        kind: DetectionJobKind,
        name: str | None,
        image_list: ImageList,
        output: Output | None,
        rights: ObjectRights | None = None,
        once: Once[DetectionJob] = ALWAYS,
    ) -> DetectionJob:
        """Start a job in the background; without a name, it gets one.

        Images of a manifest, and masks, are checked against `rights` when their turn comes.

        Raises:
            AccessDeniedError: the caller may not write the result manifest.
            ResourceNotFoundError: the project or the model does not exist.
            ConflictError: the model is not trained, or the name is taken.
            ValidationError: the list is empty, or the output is not valid.
        """
        _check_list(image_list)
        name = name or self._new_name()
        with self._database.reading() as rows:
            once.recall(rows)
            model = self._free_model(rows, project, version, kind=kind, name=name)
        if output:
            self._check_output(output, rights, key=result_key(output.prefix, project, name))
        images = self._keep(image_list.images)
        with self._stored_files.deleted_on_error(images), self._database.writing() as rows:
            once.recall(rows)
            self._free_model(rows, project, str(model.version), kind=kind, name=name)
            job = rows.detection_jobs.add(
                require_project(rows, project).id,
                kind=kind,
                name=name,
                model_version=model.version,
                status_message=QUEUED,
                manifest=image_list.manifest,
                images=images,
                output_bucket=output.bucket if output else None,
                output_prefix=output.prefix if output else None,
                requester=rights.requester if rights else None,
                now=self._now(),
            )
            once.remember(rows, job)
        self._wake()
        return job

    def describe(self, project: str, name: str, *, kind: DetectionJobKind) -> DetectionJob:
        """Return a job.

        Raises:
            ResourceNotFoundError: it does not exist.
        """
        with self._database.reading() as rows:
            return require_job(rows, project, kind, name)

    def page(
        self, project: str, *, kind: DetectionJobKind, token: str | None, limit: int = PAGE_SIZE
    ) -> tuple[list[DetectionJob], str | None]:
        """Return a page of the jobs of a kind, newest first, and the token of the next.

        Raises:
            ResourceNotFoundError: the project does not exist.
        """
        with self._database.reading() as rows:
            owner = require_project(rows, project)
            scope = f"detection-jobs/{kind}/{owner.id}"
            before = token_position(token, scope)
            jobs = rows.detection_jobs.page(owner.id, kind, before=before, limit=limit + 1)
        more = len(jobs) > limit
        return jobs[:limit], next_token(scope, jobs[limit - 1].id) if more else None

    def cancel(self, project: str, name: str, *, kind: DetectionJobKind, by: str) -> DetectionJob:
        """End a job as failed; its masks stay.

        Its worker notices within about a second.

        Raises:
            ResourceNotFoundError: it does not exist.
            ConflictError: it has ended.
        """
        with self._database.writing() as rows:
            job = require_job(rows, project, kind, name)
            if job.status not in JOB_IN_PROGRESS:
                raise ConflictError(
                    f"The {WORDS[kind]} {name} of project {project} is {job.status}; "
                    "only one that is not through can be cancelled.",
                    resource_type=ResourceType.TRIAL,
                    resource_id=f"{project}/{name}",
                )
            message = f"Cancelled by {by}."
            rows.detection_jobs.cancel(job.id, status_message=message, now=self._now())
            cancelled = require_job(rows, project, kind, name)
            files = rows.detection_segments.delete(job.id)
        for file in (*([job.images] if job.images else []), *files):
            self._stored_files.delete(file)
        return cancelled

    def _check_output(self, output: Output, rights: ObjectRights | None, *, key: str) -> None:
        if rights is not None:
            rights.require(WRITE, [ObjectRef(bucket=output.bucket, key=key)])
        check_output(self._objects, output.bucket, [key], member="OutputConfig")

    def _keep(self, images: Sequence[str]) -> str | None:
        if not images:
            return None
        name = f"images-{self._new_name()}.jsonl"
        lines = (f"{json.dumps({SOURCE: ref}, ensure_ascii=False)}\n" for ref in images)
        self._stored_files.write(name, "".join(lines).encode())
        return name

    def _free_model(
        self, rows: Rows, project: str, version: str, *, kind: DetectionJobKind, name: str
    ) -> Model:
        """Return a trained model, if the name of a job with it is free."""
        model = self._trained(rows, project, version)
        _check_free(rows, project, kind, name)
        return model

    def _trained(self, rows: Rows, project: str, version: str) -> Model:
        model = require_model(rows, project, version)
        if model.status not in MODEL_WITH_BUNDLE:
            arn = self._arns.model(model.project, model.version)
            raise ConflictError(
                f"Model {arn} is {model.status}; images can be judged when it is trained.",
                resource_type=ResourceType.MODEL,
                resource_id=arn,
            )
        return model


def _check_free(rows: Rows, project: str, kind: DetectionJobKind, name: str) -> None:
    if rows.detection_jobs.find(project, kind, name):
        raise ConflictError(
            f"Project {project} has a {WORDS[kind]} {name} already. Choose another name.",
            resource_type=ResourceType.TRIAL,
            resource_id=f"{project}/{name}",
        )


def _check_list(image_list: ImageList) -> None:
    if (image_list.manifest is None) == (not image_list.images):
        raise ValidationError("ImageSource must have either Manifest or Images.")
    if wrong := [ref for ref in image_list.images if object_ref(ref) is None]:
        raise ValidationError(
            f"Images must be addresses such as s3://bucket/key; {_shown(wrong)} "
            f"{'is' if len(wrong) == 1 else 'are'} not."
        )


def _shown(refs: Collection[str]) -> str:
    first = ", ".join(repr(ref[:100]) for ref in list(refs)[:3])
    return first if len(refs) <= 3 else f"{first} and {len(refs) - 3} more"
