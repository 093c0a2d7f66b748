"""The results of detection jobs: manifest and masks of a batch, rows of a trial.

A result manifest is the image list of the job with the detection of each image, in the format of an
evaluation manifest.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol

from blemish.domain.access.object_rights import WRITE, ObjectRights
from blemish.domain.arns import ArnScope
from blemish.domain.detection_jobs import DetectionJob, TrialImage, result_key, result_mask_key
from blemish.domain.entities import DatasetEntry, ObjectRef
from blemish.domain.manifest import DETECTED_FIELDS
from blemish.service.detection.job_images import ImageDetection, ImageResult
from blemish.service.detection.result_lines import ResultLines
from blemish.service.objects import Objects
from blemish.service.training.evaluation_files import EvaluatedModel, detected_members
from blemish.storage.errors import StoreWriteError
from blemish.storage.rows.all_rows import Rows

ERROR = "error"
"""Field of a line with the reason why its image has no detection."""

PUBLISHINGS = 5
"""How often a result is written while others change it."""

OURS = frozenset({ERROR, *DETECTED_FIELDS})
"""Result fields of a line; those of an earlier job are removed."""


class Results(Protocol):
    """Turns the detections of a job into lines, and the lines into its result."""

    def line(self, position: int, entry: DatasetEntry, result: ImageResult) -> str:
        """Return the line of one image; safe for several threads.

        Raises:
            ObjectError: a file beside it cannot be stored.
        """

    def publish(self, lines: ResultLines, *, check: Callable[[], None]) -> None:
        """Write the objects that must exist before the job succeeds.

        Args:
            lines: of all images.
            check: raises if the attempt has lost the job; then nothing is written.

        Raises:
            ObjectError: it cannot be written.
        """

    def keep(self, rows: Rows, lines: ResultLines) -> None:
        """Write rows, in the transaction in which the job succeeds."""


class TrialResults:
    """The results of a trial, as rows."""

    def __init__(self, job: DetectionJob) -> None:
        self._job = job

    def line(self, position: int, entry: DatasetEntry, result: ImageResult) -> str:
        """See `Results`."""
        image = TrialImage(
            position=position,
            source_ref=str(entry.image),
            is_anomalous=None if isinstance(result, str) else result.is_anomalous,
            confidence=None if isinstance(result, str) else result.confidence,
            error=result if isinstance(result, str) else None,
            verified_line=None,
        )
        return json.dumps(asdict(image), ensure_ascii=False)

    def publish(self, lines: ResultLines, *, check: Callable[[], None]) -> None:  # noqa: ARG002
        """See `Results`."""
        check()

    def keep(self, rows: Rows, lines: ResultLines) -> None:
        """See `Results`."""
        rows.trial_images.put(self._job.id, (TrialImage(**json.loads(line)) for line in lines))


class BatchResults:
    """The result manifest of a batch, and the masks beside it."""

    def __init__(
        self,
        job: DetectionJob,
        *,
        objects: Objects,
        arns: ArnScope,
        rights: ObjectRights | None,
        now: Callable[[], datetime],
    ) -> None:
        assert job.output_bucket is not None
        self._job = job
        self._bucket = job.output_bucket
        self._objects = objects
        self._rights = rights
        self._now = now
        self._model = EvaluatedModel(
            project=job.project,
            version=job.model_version,
            arn=arns.model(job.project, job.model_version),
            output_bucket=job.output_bucket,
            output_prefix=job.output_prefix or "",
        )

    def line(self, position: int, entry: DatasetEntry, result: ImageResult) -> str:
        """See `Results`."""
        fields: dict[str, Any] = json.loads(entry.line)
        listed = {name: value for name, value in fields.items() if name not in OURS}
        more = {ERROR: result} if isinstance(result, str) else self._members(position, result)
        return json.dumps(listed | more, ensure_ascii=False)

    def publish(self, lines: ResultLines, *, check: Callable[[], None]) -> None:
        """See `Results`.

        A server that is suspended after the check may go on when another one has published: then
        the object has another version than before the check, and stays.
        """
        job = self._job
        key = result_key(job.output_prefix, job.project, job.name)
        ref = ObjectRef(bucket=self._bucket, key=key)
        for _ in range(PUBLISHINGS):
            version = self._objects.version(ref)
            check()
            if self._objects.replace(ref, lines.chunks(), version=version):
                return
        raise StoreWriteError(f"{ref} cannot be written: others change it again and again.")

    def keep(self, rows: Rows, lines: ResultLines) -> None:
        """See `Results`."""

    def _members(self, position: int, detection: ImageDetection) -> dict[str, Any]:
        return detected_members(
            self._model,
            is_anomalous=detection.is_anomalous,
            confidence=detection.confidence,
            anomalies=detection.anomalies,
            mask=self._mask(position, detection.mask_png),
            ended_at=self._now(),
            job_name=f"batch-detection/{self._job.name}",
        )

    def _mask(self, position: int, mask_png: bytes | None) -> ObjectRef | None:
        if mask_png is None:
            return None
        job = self._job
        key = result_mask_key(job.output_prefix, job.project, job.name, position=position)
        ref = ObjectRef(bucket=self._bucket, key=key)
        if self._rights:
            self._rights.require(WRITE, [ref])
        self._objects.write(ref, mask_png)
        return ref
