"""The result lines of a job in progress, where any server finds them.

Where servers share their files, an attempt stores its lines every few seconds, as segments in the
S3, each named by a row. An attempt on another server goes on behind the last segment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import uuid4

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.detection_jobs import DetectionSegment, ImageCounts
from blemish.storage.database.database import Database
from blemish.storage.errors import (
    EncryptionError,
    ObjectMissingError,
    ObjectReadError,
    is_passing,
)
from blemish.storage.stored_files import StoredFiles

logger: FilteringBoundLogger = structlog.get_logger(__name__)

SHARE_EVERY = timedelta(seconds=10)
"""How much work of a server that ends is done again by another one."""


class StoppedError(Exception):
    """The server ends, or the attempt lost the row."""


class SharedLines:
    """The lines that one attempt finds and adds."""

    def __init__(
        self,
        database: Database,
        stored_files: StoredFiles,
        *,
        job_id: int,
        attempt: int,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._stored_files = stored_files
        self._job_id = job_id
        self._attempt = attempt
        self._now = now
        self._shared_at = now()
        self._origin_sha256 = ""
        self._count = 0

    def restore(self, origin: str, write: Callable[[bytes], object]) -> DetectionSegment | None:
        """Write the lines of former attempts; return their last segment.

        If there are none, they are of another origin, or they cannot be read, return None: what
        was written has to go then.

        Args:
            origin: identifies the job, its list and the bundle that detects.
            write: is called with each line.

        Raises:
            StoppedError: the attempt lost the job.
            StorageError: they cannot be read for now, for which `is_passing` holds.
        """
        self._origin_sha256 = hashlib.sha256(origin.encode()).hexdigest()
        with self._database.reading() as rows:
            segments = rows.detection_segments.of_job(self._job_id)
        if not segments:
            return None
        if all(segment.origin_sha256 == self._origin_sha256 for segment in segments):
            try:
                for segment in segments:
                    for line in self._stored_files.lines(segment.file):
                        write(line.encode())
            except (ObjectMissingError, ObjectReadError, EncryptionError) as error:
                if is_passing(error):
                    raise
                logger.warning("a detection job begins anew", reason=str(error))
            else:
                self._count = len(segments)
                return segments[-1]
        self._forget()
        return None

    def add(self, data: Iterable[bytes], counts: ImageCounts) -> bool:
        """Store the lines since the last segment, if it is time; return whether they are stored.

        Raises:
            StoppedError: the attempt lost the job.
            ObjectError: they cannot be stored.
        """
        if self._now() - self._shared_at < SHARE_EVERY:
            return False
        file = f"results-{uuid4().hex}.jsonl"
        self._stored_files.write(file, data)
        segment = DetectionSegment(
            file=file,
            origin_sha256=self._origin_sha256,
            normal=counts.normal,
            anomaly=counts.anomaly,
            failed=counts.failed,
        )
        with self._stored_files.deleted_on_error(file), self._database.writing() as rows:
            if not rows.detection_jobs.hold(self._job_id, attempt=self._attempt):
                raise StoppedError
            rows.detection_segments.add(self._job_id, segment, position=self._count)
        self._count += 1
        self._shared_at = self._now()
        return True

    def _forget(self) -> None:
        with self._database.writing() as rows:
            if not rows.detection_jobs.hold(self._job_id, attempt=self._attempt):
                raise StoppedError
            files = rows.detection_segments.delete(self._job_id)
        for file in files:
            self._stored_files.delete(file)
