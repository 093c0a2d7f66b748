"""The jobs that need a model, which cannot be deleted meanwhile."""

from __future__ import annotations

from blemish.domain.detection_jobs import WORDS, DetectionJob
from blemish.domain.entities import Model
from blemish.domain.errors import ConflictError, ResourceType
from blemish.domain.packaging import PackagingJob
from blemish.storage.rows.all_rows import Rows


def check_unneeded(rows: Rows, model: Model, *, arn: str) -> None:
    """Allow the deletion of a model that no job needs.

    Raises:
        ConflictError: a detection job or a packaging job needs it.
    """
    jobs: list[tuple[str, DetectionJob | PackagingJob]] = [
        (WORDS[job.kind], job) for job in rows.detection_jobs.of_model(model.project, model.version)
    ]
    if packaging_job := rows.packaging_jobs.of_model(model.project, model.version):
        jobs.append(("model packaging job", packaging_job))
    if jobs:
        kind, job = jobs[0]
        raise ConflictError(
            f"Model {arn} is needed by the {kind} {job.name}, which is {job.status}. "
            "Wait for it to end first.",
            resource_type=ResourceType.MODEL,
            resource_id=arn,
        )
