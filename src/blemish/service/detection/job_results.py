"""The results of detection jobs: manifest and masks of a batch, rows of a trial.

A result manifest is the image list of the job with the detection of each image, in the format of an
evaluation manifest. A temporary file collects it, so that memory holds one line.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from blemish.domain.access.object_rights import WRITE, ObjectRights
from blemish.domain.arns import ArnScope
from blemish.domain.detection_jobs import DetectionJob, TrialImage, result_key, result_mask_key
from blemish.domain.entities import DatasetEntry, ObjectRef
from blemish.domain.manifest import DETECTED_FIELDS
from blemish.service.objects import Objects
from blemish.service.training.evaluation_files import EvaluatedModel, detected_members
from blemish.storage.files import clear_file_errors
from blemish.storage.rows.all_rows import Rows

if TYPE_CHECKING:
    from blemish.engine.runtime import Detection

CHUNK_BYTES = 1024 * 1024
ERROR = "error"
"""Field of a line with the reason why its image has no detection."""

OURS = frozenset({ERROR, *DETECTED_FIELDS})
"""Result fields of a line; those of an earlier job are removed."""

ImageResult: TypeAlias = "Detection | str"
"""The detection in an image, or the reason why there is none."""


class Results(Protocol):
    """Takes the results of a job, image by image."""

    def add(self, position: int, entry: DatasetEntry, result: ImageResult) -> None:
        """Add the result of one image.

        Raises:
            ObjectError: it cannot be stored.
        """

    def publish(self) -> None:
        """Write the objects that must exist before the job succeeds.

        Raises:
            ObjectError: it cannot be written.
        """

    def keep(self, rows: Rows) -> None:
        """Write rows, in the transaction in which the job succeeds."""

    def close(self) -> None:
        """Delete temporary files."""


class TrialResults:
    """The results of a trial, as rows."""

    def __init__(self, job: DetectionJob) -> None:
        self._job = job
        self._images: list[TrialImage] = []

    def add(self, position: int, entry: DatasetEntry, result: ImageResult) -> None:
        """See `Results`."""
        image = TrialImage(
            position=position,
            source_ref=str(entry.image),
            is_anomalous=None if isinstance(result, str) else result.is_anomalous,
            confidence=None if isinstance(result, str) else result.confidence,
            error=result if isinstance(result, str) else None,
            verified_line=None,
        )
        self._images.append(image)

    def publish(self) -> None:
        """See `Results`."""

    def keep(self, rows: Rows) -> None:
        """See `Results`."""
        rows.trial_images.put(self._job.id, self._images)

    def close(self) -> None:
        """See `Results`."""


class BatchResults:
    """The result manifest of a batch, and the masks beside it."""

    def __init__(
        self,
        job: DetectionJob,
        *,
        objects: Objects,
        folder: Path,
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
        with clear_file_errors("the result manifest"):  # unnamed, so that a crash leaves nothing
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - see `close`

    def add(self, position: int, entry: DatasetEntry, result: ImageResult) -> None:
        """See `Results`."""
        fields: dict[str, Any] = json.loads(entry.line)
        listed = {name: value for name, value in fields.items() if name not in OURS}
        more = {ERROR: result} if isinstance(result, str) else self._members(position, result)
        line = json.dumps(listed | more, ensure_ascii=False)
        with clear_file_errors("the result manifest"):
            self._file.write(f"{line}\n".encode())

    def publish(self) -> None:
        """See `Results`."""
        job = self._job
        key = result_key(job.output_prefix, job.project, job.name)
        self._objects.write(ObjectRef(bucket=self._bucket, key=key), self._chunks())

    def keep(self, rows: Rows) -> None:
        """See `Results`."""

    def close(self) -> None:
        """See `Results`."""
        with clear_file_errors("the result manifest"):
            self._file.close()

    def _chunks(self) -> Iterator[bytes]:
        self._file.seek(0)
        yield from iter(partial(self._file.read, CHUNK_BYTES), b"")

    def _members(self, position: int, detection: Detection) -> dict[str, Any]:
        return detected_members(
            self._model,
            is_anomalous=detection.is_anomalous,
            confidence=detection.confidence,
            anomalies=detection.anomalies,
            mask=self._mask(position, detection),
            ended_at=self._now(),
            job_name=f"batch-detection/{self._job.name}",
        )

    def _mask(self, position: int, detection: Detection) -> ObjectRef | None:
        if detection.mask is None:
            return None
        job = self._job
        key = result_mask_key(job.output_prefix, job.project, job.name, position=position)
        ref = ObjectRef(bucket=self._bucket, key=key)
        if self._rights:
            self._rights.require(WRITE, [ref])
        from blemish.engine.images.masks import encode_mask

        self._objects.write(ref, encode_mask(detection.mask, colors=detection.colors))
        return ref
