"""Detection jobs: many images judged by one model, one after the other, in the background.

A batch writes what it finds to a result manifest. A trial keeps it, so that a person can say of
each image whether the model was right, and add what was verified to a dataset. Both are Blemish's
own; the original had trials in its console alone.

    CREATED -> RUNNING -> SUCCEEDED | FAILED
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from blemish.domain.entities import ObjectRef


class DetectionJobKind(StrEnum):
    """What becomes of what a job finds."""

    BATCH = "BATCH"
    TRIAL = "TRIAL"


WORDS = {DetectionJobKind.BATCH: "batch detection", DetectionJobKind.TRIAL: "trial detection"}
"""What people call a job."""


class DetectionJobStatus(StrEnum):
    """Where a detection job stands."""

    CREATED = "CREATED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, kw_only=True)
class ImageCounts:
    """How far a job has come."""

    #: images of the job; None until its list is read
    total: int | None
    normal: int
    anomaly: int
    #: images that could not be judged
    failed: int


@dataclass(frozen=True, kw_only=True)
class DetectionJob:
    """One request to judge images. It outlives its model, and goes with its project."""

    id: int
    project: str
    kind: DetectionJobKind
    name: str
    model_version: int
    status: DetectionJobStatus
    status_message: str
    created_at: datetime
    updated_at: datetime
    #: a manifest that lists the images; None if the request did
    manifest: ObjectRef | None
    #: the kept file with those that the request listed; None once the job is through
    images: str | None
    #: where the result manifest goes; None for a trial
    output_bucket: str | None
    output_prefix: str | None
    counts: ImageCounts
    attempt: int


@dataclass(frozen=True, kw_only=True)
class TrialImage:
    """What a trial found in one image, and what a person said of it."""

    #: in the order of the list, from 1
    position: int
    source_ref: str
    #: None for both if the image could not be judged
    is_anomalous: bool | None
    confidence: float | None
    #: why it could not be judged
    error: str | None
    #: the JSON Line of a dataset that a person has verified; None until then
    verified_line: str | None


def result_key(prefix: str | None, project: str, name: str) -> str:
    """Return the key of the result manifest of the batch of this name."""
    return f"{_folder(prefix, project, name)}/ResultManifest.json"


def result_mask_key(prefix: str | None, project: str, name: str, *, position: int) -> str:
    """Return the key of the mask that a batch detected in the image at a position."""
    return f"{_folder(prefix, project, name)}/masks/{position}.png"


def _folder(prefix: str | None, project: str, name: str) -> str:
    # with slashes, which no name has: no two batches write to one place
    return f"{prefix or ''}BatchDetection/{project}/{name}"
