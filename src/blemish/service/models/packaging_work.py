"""The work behind a model packaging job: open the bundle, write the component to its bucket.

A job that was interrupted begins again; it writes the same objects under the same keys.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.arns import ArnScope
from blemish.domain.attempts import MAX_INTERRUPTIONS
from blemish.domain.entities import ObjectRef
from blemish.domain.errors import ServiceError
from blemish.domain.packaging import (
    NVIDIA,
    Component,
    PackagingJob,
    PackagingJobStatus,
    component_keys,
)
from blemish.domain.recipes import agent_recipe, component_recipe
from blemish.engine.bundle import Bundle
from blemish.engine.component import ComponentInfo, component_archive, component_files
from blemish.engine.errors import EngineError
from blemish.service.models.bundles import Bundles, use_current
from blemish.service.models.models import require_model
from blemish.service.objects import Objects
from blemish.storage.database.database import Database
from blemish.storage.errors import StorageError

logger: FilteringBoundLogger = structlog.get_logger(__name__)

ON_NVIDIA = ("tensorrt", "cuda")
RUNNING = "The model is being packaged."
PACKAGED = "The model was packaged successfully."


class _StaleAttemptError(Exception):
    """Another attempt holds the row."""


class PackagingWork:
    """Brings a job from CREATED to SUCCEEDED or FAILED."""

    def __init__(
        self,
        database: Database,
        *,
        objects: Objects,
        bundles: Bundles,
        arns: ArnScope,
        mixed_sizes: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._objects = objects
        self._bundles = bundles
        self._arns = arns
        self._mixed_sizes = mixed_sizes
        self._now = now

    def carry_out(self, job: PackagingJob, *, attempt: int) -> None:
        """Package the model of a job; a stale attempt changes no row."""
        if job.interruptions >= MAX_INTERRUPTIONS:
            reason = f"it was interrupted {job.interruptions} times."
            self.give_up(job, attempt=attempt, reason=reason)
            return
        try:
            self._package(job, attempt)
        except _StaleAttemptError:
            logger.warning("a packaging job lost its row to another attempt")
        except (ServiceError, EngineError, StorageError) as error:
            self.give_up(job, attempt=attempt, reason=str(error))

    def give_up(self, job: PackagingJob, *, attempt: int, reason: str) -> None:
        """End the job as failed, if this attempt still holds the row."""
        logger.warning("a packaging job failed", reason=reason)
        self._finish(
            job, attempt, PackagingJobStatus.FAILED, f"The model was not packaged: {reason}"
        )

    def _package(self, job: PackagingJob, attempt: int) -> None:
        component, keys = job.component, component_keys(job.component)
        self._report(job, attempt)
        archive = component_archive(component_files(self._bundle(job), self._info(job)))
        self._report(job, attempt)
        archive_ref = ObjectRef(bucket=component.output_bucket, key=keys.archive)
        digest = base64.b64encode(hashlib.sha256(archive).digest()).decode()
        recipe = component_recipe(component, archive=str(archive_ref), digest=digest)
        self._objects.write(archive_ref, archive)
        for key, text in ((keys.agent_recipe, agent_recipe()), (keys.recipe, recipe)):
            self._objects.write(ObjectRef(bucket=component.output_bucket, key=key), text.encode())
        self._finish(job, attempt, PackagingJobStatus.SUCCEEDED, PACKAGED)

    def _bundle(self, job: PackagingJob) -> Bundle:
        def current() -> str:
            with self._database.reading() as rows:
                model = require_model(rows, job.project, str(job.model_version))
            assert model.bundle is not None
            return model.bundle

        return use_current(current, self._bundles.read)

    def _info(self, job: PackagingJob) -> ComponentInfo:
        component = job.component
        assert component.version is not None
        return ComponentInfo(
            name=component.name,
            version=component.version,
            model_arn=self._arns.model(job.project, job.model_version),
            providers=_providers(component),
            compiler_options=_options(component),
            mixed_sizes=self._takes_mixed_sizes(job),
        )

    def _takes_mixed_sizes(self, job: PackagingJob) -> bool:
        with self._database.reading() as rows:
            model = require_model(rows, job.project, str(job.model_version))
        return model.takes_mixed_sizes(default=self._mixed_sizes)

    def _report(self, job: PackagingJob, attempt: int) -> None:
        with self._database.writing() as rows:
            current = rows.packaging_jobs.report(
                job.id, attempt=attempt, status_message=RUNNING, now=self._now()
            )
        if not current:
            raise _StaleAttemptError

    def _finish(
        self, job: PackagingJob, attempt: int, target: PackagingJobStatus, message: str
    ) -> None:
        with self._database.writing() as rows:
            rows.packaging_jobs.finish(
                job.id,
                attempt=attempt,
                target=target,
                status_message=message,
                now=self._now(),
            )


def _providers(component: Component) -> tuple[str, ...]:
    platform = component.target_platform
    if platform is None or platform.accelerator == NVIDIA:  # the only device is a Jetson
        return ON_NVIDIA
    return ("cpu",)


def _options(component: Component) -> Mapping[str, Any]:
    options: dict[str, Any] = json.loads(component.compiler_options or "{}")
    return options
