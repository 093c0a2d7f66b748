"""Running detection jobs: reading the list, detecting in each image, storing the results.

The images are looked at in threads of the server with low priority, or on the nodes of a cluster.
An image without a result does not fail the job. After a crash or a restart the job goes on at its
last checkpoint, unless the list or the model has changed since: then it starts again. Servers that
share files go on where another one was.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.access.object_rights import READ, ObjectRights
from blemish.domain.arns import ArnScope
from blemish.domain.attempts import MAX_INTERRUPTIONS
from blemish.domain.detection_jobs import (
    DetectionJob,
    DetectionJobKind,
    DetectionJobStatus,
    ImageCounts,
)
from blemish.domain.entities import DatasetEntry, Model, ObjectRef, Requester
from blemish.domain.errors import ServiceError
from blemish.domain.limits import Limits
from blemish.domain.manifest import LineProblem
from blemish.engine.bundle import Bundle
from blemish.engine.errors import EngineError
from blemish.service.datasets.entry_spool import EntrySpool, SpooledEntries
from blemish.service.datasets.line_checks import (
    ImportFailedError,
    junk_text,
    problem_sentence,
    spooled_entries,
)
from blemish.service.detection.job_images import (
    DetectionTask,
    ImageResult,
    ImageRunner,
    in_order,
    lower_priority,
)
from blemish.service.detection.job_results import BatchResults, Results, TrialResults
from blemish.service.detection.result_lines import ResultLines
from blemish.service.detection.shared_lines import SharedLines, StoppedError
from blemish.service.models.bundles import Bundles, use_current
from blemish.service.models.models import require_model
from blemish.service.objects import Objects
from blemish.storage.database.database import Database
from blemish.storage.errors import (
    StorageError,
    is_passing,
)
from blemish.storage.files import remove_tree
from blemish.storage.stored_files import StoredFiles

logger: FilteringBoundLogger = structlog.get_logger(__name__)

REPORT_EVERY = timedelta(seconds=1)

CHECKPOINT_IMAGES = 64
"""Images that an attempt may judge again after a crash, beside those in work."""

LINE_THREADS = 4
"""Threads that store masks, mostly waiting for the store."""


class DetectionJobWork:
    """Moves a job from CREATED to SUCCEEDED or FAILED."""

    def __init__(
        self,
        database: Database,
        *,
        objects: Objects,
        stored_files: StoredFiles,
        bundles: Bundles,
        folder: Path,
        images: ImageRunner,
        arns: ArnScope,
        limits: Limits,
        mixed_sizes: bool,
        rights: Callable[[Requester], ObjectRights],
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._objects = objects
        self._stored_files = stored_files
        self._bundles = bundles
        self._folder = folder
        self._images = images
        self._arns = arns
        self._limits = limits
        self._mixed_sizes = mixed_sizes
        self._rights = rights
        self._now = now
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Stop the running job; it starts again at the next start of the server."""
        self._stopping.set()

    def carry_out(self, job: DetectionJob, *, attempt: int) -> None:
        """Run a job; a stale attempt changes nothing."""
        if job.interruptions >= MAX_INTERRUPTIONS:
            reason = f"it was interrupted {job.interruptions} times."
            self.give_up(job, attempt=attempt, reason=reason)
            return
        lower_priority()
        try:
            self._judge_all(job, attempt)
        except StoppedError:
            logger.info("a detection job was left")
        except (ServiceError, ImportFailedError, EngineError, StorageError) as error:
            if is_passing(error):
                raise  # a later attempt goes on
            self.give_up(job, attempt=attempt, reason=str(error))

    def give_up(self, job: DetectionJob, *, attempt: int, reason: str) -> None:
        """Mark the job as failed, if this attempt still holds it."""
        logger.warning("a detection job failed", reason=reason)
        with self._database.writing() as rows:
            current = rows.detection_jobs.finish(
                job.id,
                attempt=attempt,
                target=DetectionJobStatus.FAILED,
                status_message=f"The images were not judged: {reason}",
                now=self._now(),
            )
            files = rows.detection_segments.delete(job.id) if current else []
        if current:
            self._clear(job, files)

    def _judge_all(self, job: DetectionJob, attempt: int) -> None:
        self._check_stopping()
        entries, digest = self._entries(job)
        rights = None if job.requester is None else self._rights(job.requester)
        forbidden = dict(rights.denials(READ, [entry.image for entry in entries]) if rights else ())
        model, bundle = self._model(job)
        task = DetectionTask(
            store_connection=self._objects.connection,
            limits=self._limits,
            mixed_sizes=model.takes_mixed_sizes(default=self._mixed_sizes),
            with_masks=job.kind is DetectionJobKind.BATCH,
        )
        results = self._results(job, rights)

        def line_of(image: tuple[int, DatasetEntry, ImageResult]) -> tuple[str, ImageResult]:
            position, entry, result = image
            return results.line(position, entry, result), result

        origin = f"{job.kind} {job.project} {job.name} {job.created_at} {model.bundle} {digest}"
        folder = self._folder / str(job.id)
        shared = self._shared_lines(job, attempt)
        opened = ResultLines(folder, origin=origin, total=len(entries), shared=shared)
        with closing(opened) as lines:
            progress = _Progress(
                lambda counts, message: self._report(job, attempt, counts, message),
                now=self._now,
                counts=lines.counts,
            )
            images = self._results_of(task, bundle, entries, forbidden, progress)
            for line, result in in_order(line_of, images, threads=LINE_THREADS):
                lines.add(line)
                progress.count(result)
                if progress.done % CHECKPOINT_IMAGES == 0:
                    lines.keep(progress.counts)
            results.publish(lines, check=progress.tell)
            self._succeed(job, attempt, progress, results, lines)

    def _results_of(
        self,
        task: DetectionTask,
        bundle: Bundle,
        entries: Sequence[DatasetEntry],
        forbidden: Mapping[ObjectRef, str],
        progress: _Progress,
    ) -> Iterator[tuple[int, DatasetEntry, ImageResult]]:
        """Yield the images behind the checkpoint with their positions and results."""
        done = progress.done
        left = entries[done:]

        def report(waiting_for: str | None) -> None:
            self._check_stopping()
            if waiting_for is not None:
                progress.wait(waiting_for)

        allowed = (entry.image for entry in left if entry.image not in forbidden)
        by_image = self._images.results(task, allowed, bundle=bundle, report=report)
        with closing(by_image) as results:
            for position, entry in enumerate(left, start=done + 1):
                denial = forbidden.get(entry.image)
                yield position, entry, next(results) if denial is None else denial

    def _succeed(
        self,
        job: DetectionJob,
        attempt: int,
        progress: _Progress,
        results: Results,
        lines: ResultLines,
    ) -> None:
        with self._database.writing() as rows:
            current = rows.detection_jobs.finish(
                job.id,
                attempt=attempt,
                target=DetectionJobStatus.SUCCEEDED,
                status_message=progress.summary(),
                counts=progress.counts,
                now=self._now(),
            )
            if current:
                results.keep(rows, lines)
            files = rows.detection_segments.delete(job.id) if current else []
        if current:
            self._clear(job, files)

    def _clear(self, job: DetectionJob, segment_files: Sequence[str]) -> None:
        """Delete the files that a job in progress needs."""
        for name in (*([job.images] if job.images else []), *segment_files):
            self._stored_files.delete(name)
        with suppress(StorageError):  # the next start of the server removes it
            remove_tree(self._folder / str(job.id), staging=self._folder)

    def _shared_lines(self, job: DetectionJob, attempt: int) -> SharedLines | None:
        if not self._stored_files.is_shared:
            return None
        return SharedLines(
            self._database, self._stored_files, job_id=job.id, attempt=attempt, now=self._now
        )

    def _entries(self, job: DetectionJob) -> tuple[Sequence[DatasetEntry], str]:
        """Read the list of images; return it with a digest of its lines.

        Raises:
            ImportFailedError: it is no list of images, or there are too many.
            StorageError: it cannot be read.
        """
        if job.images is not None:
            lines = self._stored_files.lines(job.images)
        else:
            assert job.manifest is not None
            most_bytes = self._limits.max_manifest_bytes
            lines = self._objects.read_lines(job.manifest, max_bytes=most_bytes)
        trial = job.kind is DetectionJobKind.TRIAL
        most = self._limits.max_trial_images if trial else self._limits.max_batch_images
        problems: list[LineProblem] = []
        junk: list[str] = []
        spool = EntrySpool()
        digest = hashlib.sha256()
        digested = _digested(lines, digest)
        entries = spooled_entries(digested, spool, problems, most=most, junk=junk)
        if problems:
            raise ImportFailedError(problem_sentence([str(problem) for problem in problems]))
        if not entries:
            reason = f": {junk_text(junk)}" if junk else ""
            raise ImportFailedError(f"the list names no image{reason}.")
        if len(entries) > most:
            raise ImportFailedError(f"the list names more than {most} images, the most allowed.")
        if junk:
            logger.info("files of file managers are passed over", count=len(junk), first=junk[0])
        return SpooledEntries(spool, entries), digest.hexdigest()

    def _model(self, job: DetectionJob) -> tuple[Model, Bundle]:
        """Return the model as it is now, and its bundle."""
        models: list[Model] = []

        def current() -> str:
            with self._database.reading() as rows:
                model = require_model(rows, job.project, str(job.model_version))
            assert model.bundle is not None
            models.append(model)
            return model.bundle

        bundle = use_current(current, self._bundles.read)
        return models[-1], bundle

    def _results(self, job: DetectionJob, rights: ObjectRights | None) -> Results:
        if job.kind is DetectionJobKind.TRIAL:
            return TrialResults(job)
        return BatchResults(
            job,
            objects=self._objects,
            arns=self._arns,
            rights=rights,
            now=self._now,
        )

    def _report(self, job: DetectionJob, attempt: int, counts: ImageCounts, message: str) -> None:
        with self._database.writing() as rows:
            current = rows.detection_jobs.report(
                job.id, attempt=attempt, counts=counts, status_message=message, now=self._now()
            )
        if not current:
            raise StoppedError

    def _check_stopping(self) -> None:
        if self._stopping.is_set():
            raise StoppedError


class _Progress:
    """Counts results, and reports them once a second."""

    def __init__(
        self,
        report: Callable[[ImageCounts, str], None],
        *,
        now: Callable[[], datetime],
        counts: ImageCounts,
    ) -> None:
        self._report = report
        self._now = now
        self.counts = counts
        self.tell()

    @property
    def done(self) -> int:
        """The number of images that were counted."""
        return self.counts.normal + self.counts.anomaly + self.counts.failed

    def count(self, result: ImageResult) -> None:
        """Count one image."""
        counts = self.counts
        match result:
            case str():
                self.counts = replace(counts, failed=counts.failed + 1)
            case detection if detection.is_anomalous:
                self.counts = replace(counts, anomaly=counts.anomaly + 1)
            case _:
                self.counts = replace(counts, normal=counts.normal + 1)
        if self._now() - self._reported_at >= REPORT_EVERY:
            self.tell()

    def tell(self, more: str = "") -> None:
        """Report the progress.

        Raises:
            StoppedError: the attempt lost the job.
        """
        self._reported_at = self._now()
        self._report(self.counts, f"{self.done} of {self.counts.total} images are judged{more}.")

    def wait(self, waiting_for: str) -> None:
        """Report what is waited for; errors as `tell`."""
        if self._now() - self._reported_at >= REPORT_EVERY:
            self.tell(f"; waiting for {waiting_for}")

    def summary(self) -> str:
        """Return the final status message."""
        counts = self.counts
        done = f"{counts.normal + counts.anomaly} of {counts.total} images were judged"
        return f"{done}; {counts.failed} could not be." if counts.failed else f"{done}."


def _digested(lines: Iterable[str], digest: hashlib._Hash) -> Iterator[str]:
    """Pass lines on, and add them to a digest."""
    for line in lines:
        digest.update(line.encode(errors="surrogatepass"))
        yield line
