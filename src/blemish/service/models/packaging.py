"""Model packaging jobs: started, described, listed.

A request only checks and writes the row; `packaging_work` does what takes time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, replace
from datetime import datetime

from blemish.domain.access.object_rights import WRITE, ObjectRights
from blemish.domain.arns import ArnScope
from blemish.domain.entities import Model, ObjectRef
from blemish.domain.errors import ConflictError, ResourceNotFoundError, ResourceType
from blemish.domain.lifecycle import MODEL_WITH_BUNDLE
from blemish.domain.packaging import (
    Component,
    PackagingJob,
    PackagingJobStatus,
    check_component,
    component_keys,
)
from blemish.domain.tags import check_tag_keys
from blemish.service.client_tokens import ALWAYS, Once
from blemish.service.models.models import require_model
from blemish.service.next_tokens import next_token, token_position
from blemish.service.objects import Objects, check_output
from blemish.service.projects import PAGE_SIZE, require_project
from blemish.storage.database.database import Database
from blemish.storage.rows.all_rows import Rows

QUEUED = "The model waits to be packaged."


class PackagingService:
    """The model packaging jobs of the projects."""

    def __init__(
        self,
        database: Database,
        *,
        objects: Objects,
        arns: ArnScope,
        now: Callable[[], datetime],
        new_name: Callable[[], str],
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._objects = objects
        self._arns = arns
        self._now = now
        self._new_name = new_name
        self._wake = wake

    def start(
        self,
        project: str,
        version: str,
        *,
        name: str | None,
        description: str | None,
        component: Component,
        rights: ObjectRights | None = None,
        once: Once[PackagingJob] = ALWAYS,
    ) -> PackagingJob:
        """Record a job for the reconciler; a job without a name gets one.

        Raises:
            AccessDeniedError: `rights` do not allow to write a file of the component.
            ValidationError: the component's target, options, tags or location are not allowed.
            ResourceNotFoundError: the project or the model does not exist.
            ConflictError: the model is not trained, the name is taken, or a job that did not fail
                makes the component.
        """
        check_component(component)
        check_tag_keys(tag.key for tag in component.tags)
        with self._database.reading() as rows:
            once.recall(rows)
            model = self._trained(rows, project, version)
        if component.version is None:
            component = replace(component, version=f"{model.version}.0.0")
        keys = astuple(component_keys(component))
        if rights:
            bucket = component.output_bucket
            rights.require(WRITE, (ObjectRef(bucket=bucket, key=key) for key in keys))
        check_output(self._objects, component.output_bucket, keys, member="S3OutputLocation")
        with self._database.writing() as rows:
            once.recall(rows)
            self._trained(rows, project, str(model.version))
            name = name or self._new_name()
            self._check_free(rows, project, name, component)
            job = rows.packaging_jobs.add(
                require_project(rows, project).id,
                name=name,
                model_version=model.version,
                description=description,
                component=component,
                status=PackagingJobStatus.CREATED,
                status_message=QUEUED,
                now=self._now(),
            )
            once.remember(rows, job)
        self._wake()
        return job

    def describe(self, project: str, name: str) -> PackagingJob:
        """Return a job.

        Raises:
            ResourceNotFoundError: the project or the job does not exist.
        """
        with self._database.reading() as rows:
            require_project(rows, project)
            job = rows.packaging_jobs.find(project, name)
        if job is None:
            raise ResourceNotFoundError(
                f"Project {project} has no model packaging job {name}.",
                resource_type=ResourceType.MODEL_PACKAGE_JOB,
                resource_id=f"{project}/{name}",
            )
        return job

    def page(
        self, project: str, *, token: str | None, limit: int = PAGE_SIZE
    ) -> tuple[list[PackagingJob], str | None]:
        """Return a page of the jobs of a project, newest first, and the token of the next.

        Raises:
            ResourceNotFoundError: the project does not exist.
        """
        with self._database.reading() as rows:
            owner = require_project(rows, project)
            scope = f"packaging-jobs/{owner.id}"
            before = token_position(token, scope)
            jobs = rows.packaging_jobs.page(owner.id, before=before, limit=limit + 1)
        more = len(jobs) > limit
        return jobs[:limit], next_token(scope, jobs[limit - 1].id) if more else None

    def _trained(self, rows: Rows, project: str, version: str) -> Model:
        model = require_model(rows, project, version)
        if model.status not in MODEL_WITH_BUNDLE:
            arn = self._arns.model(model.project, model.version)
            raise ConflictError(
                f"Model {arn} is {model.status}; a model can be packaged when it is trained.",
                resource_type=ResourceType.MODEL,
                resource_id=arn,
            )
        return model

    @staticmethod
    def _check_free(rows: Rows, project: str, name: str, component: Component) -> None:
        assert component.version is not None
        if job := rows.packaging_jobs.find(project, name):
            problem = f"Project {project} has a model packaging job {name} already."
        elif job := rows.packaging_jobs.of_component(component.name, component.version):
            problem = (
                f"Version {component.version} of the component {component.name} is made by the "
                f"model packaging job {job.name} of project {job.project}, which is {job.status}."
            )
        else:
            return
        raise ConflictError(
            f"{problem} Choose another.",
            resource_type=ResourceType.MODEL_PACKAGE_JOB,
            resource_id=f"{job.project}/{job.name}",
        )
