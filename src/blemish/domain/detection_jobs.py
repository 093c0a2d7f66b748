"""Detection jobs: one model detects anomalies in many images, in the background.

A batch writes its results to a manifest. A trial stores them, so that people can verify the result
of every image and add verified images to a dataset. The API of the original has neither; its
console had trials.

    CREATED -> RUNNING -> SUCCEEDED | FAILED
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from blemish.domain.entities import ObjectRef, Requester


class DetectionJobKind(StrEnum):
    """The kind of a job, which decides where its results go."""

    BATCH = "BATCH"
    TRIAL = "TRIAL"


WORDS = {DetectionJobKind.BATCH: "batch detection", DetectionJobKind.TRIAL: "trial detection"}
"""Names of the kinds in messages."""


class DetectionJobStatus(StrEnum):
    """The status of a detection job."""

    CREATED = "CREATED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, kw_only=True)
class ImageCounts:
    """The progress of a job."""

    #: images of the job; None until its list is read
    total: int | None
    normal: int
    anomaly: int
    #: images without a result
    failed: int


@dataclass(frozen=True, kw_only=True)
class DetectionJob:
    """A job. It outlives its model and is deleted with its project."""

    id: int
    project: str
    kind: DetectionJobKind
    name: str
    model_version: int
    status: DetectionJobStatus
    status_message: str
    created_at: datetime
    updated_at: datetime
    #: manifest of the images; None if the request lists them
    manifest: ObjectRef | None
    #: stored file with the images of the request; None after the end of the job
    images: str | None
    #: bucket of the result manifest; None for a trial
    output_bucket: str | None
    output_prefix: str | None
    counts: ImageCounts
    attempt: int
    #: attempts that did not end by themselves; orderly stops of the server do not count
    interruptions: int = 0
    #: when the next attempt may begin; None for at once
    not_before: datetime | None = None
    #: None if the server itself asked for it
    requester: Requester | None = None


@dataclass(frozen=True, kw_only=True)
class DetectionSegment:
    """Results of a job in progress that all servers find: those since the segment before."""

    #: stored file with a line for each image
    file: str
    #: digest of the list and the bundle that the results are of
    origin_sha256: str
    #: images up to the end of this segment
    normal: int
    anomaly: int
    failed: int


@dataclass(frozen=True, kw_only=True)
class TrialImage:
    """The result of a trial for one image, and its verification by a person."""

    #: position in the list, from 1
    position: int
    source_ref: str
    #: both None without a result
    is_anomalous: bool | None
    confidence: float | None
    #: the reason for no result
    error: str | None
    #: the JSON Line that a person verified; None before
    verified_line: str | None


def result_key(prefix: str | None, project: str, name: str) -> str:
    """Return the key of the result manifest of a batch."""
    return f"{_folder(prefix, project, name)}/ResultManifest.json"


def result_mask_key(prefix: str | None, project: str, name: str, *, position: int) -> str:
    """Return the key of the mask that a batch writes for the image at a position."""
    return f"{_folder(prefix, project, name)}/masks/{position}.png"


def _folder(prefix: str | None, project: str, name: str) -> str:
    # names have no slashes, so every batch has its own folder
    return f"{prefix or ''}BatchDetection/{project}/{name}"
