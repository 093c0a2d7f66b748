"""The work behind TRAINING: have a runner train on the frozen entries, then publish the result.

A training is tried again when it is interrupted: by a crash, a restart, or a process that was
killed or has fallen silent. Every attempt writes to its own folder until one conditional UPDATE
that names the attempt; the files of a stale attempt are discarded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.arns import ArnScope
from blemish.domain.attempts import MAX_INTERRUPTIONS, pause_after
from blemish.domain.detector_settings import DEFAULT_SETTINGS
from blemish.domain.entities import EvaluationMethod, Model, ModelStatus, ObjectRef, Performance
from blemish.engine.errors import BackboneError
from blemish.service.models.bundles import Bundles
from blemish.service.objects import Objects
from blemish.service.training.backbones import ProjectBackbones
from blemish.service.training.evaluation_files import (
    evaluation_keys,
    problems_document,
)
from blemish.service.training.log import TrainingLog
from blemish.service.training.runner import (
    AttemptLostError,
    TrainingFailure,
    TrainingInterruptedError,
    TrainingResult,
    TrainingRunner,
    TrainingSpec,
)
from blemish.storage.database.database import Database
from blemish.storage.errors import (
    DatabaseUnavailableError,
    ObjectError,
    StorageError,
    is_passing,
    shortage,
)
from blemish.storage.files import remove_tree
from blemish.storage.rows.all_rows import Rows
from blemish.storage.stored_files import StoredFiles

logger: FilteringBoundLogger = structlog.get_logger(__name__)

REPORT_PACE = timedelta(seconds=1)
"""How often a training that writes its files checks whether it was cancelled."""

MAX_LOGGED_PROBLEMS = 100
"""Problems in the log of a training; the file of problems has all."""

TRAINED = "Training completed successfully."


class TrainingWork:
    """Brings a model from TRAINING to TRAINED or TRAINING_FAILED."""

    def __init__(
        self,
        database: Database,
        *,
        runner: TrainingRunner,
        objects: Objects,
        stored_files: StoredFiles,
        bundles: Bundles,
        attempts: Path,
        staging: Path,
        backbones: ProjectBackbones,
        arns: ArnScope,
        mixed_sizes: bool,
        options: Mapping[str, Any],
        log: TrainingLog,
        now: Callable[[], datetime],
        clock: Callable[[Rows], datetime],
        lease: timedelta,
    ) -> None:
        self._database = database
        self._runner = runner
        self._objects = objects
        self._stored_files = stored_files
        self._attempts = attempts
        self._bundles = bundles
        self._staging = staging
        self._backbones = backbones
        self._arns = arns
        self._mixed_sizes = mixed_sizes
        self._options = options
        self._log = log
        self._now = now
        #: of leases
        self._clock = clock
        self._lease = lease

    def carry_out(self, model: Model, *, attempt: int) -> None:
        """Train a model; an interrupted attempt leaves the row to the next."""
        self._log.note(model.id, "begun" if attempt == 1 else f"begun anew, attempt {attempt}")
        if model.interruptions >= MAX_INTERRUPTIONS:
            reason = f"it was interrupted {model.interruptions} times."
            self.give_up(model, attempt=attempt, reason=reason)
            return
        folder = self._attempts / f"{model.id}-{attempt}"
        try:
            try:
                failure = self._outcome(model, attempt, folder)
            finally:
                remove_tree(folder, staging=self._staging)
        except TrainingInterruptedError as error:
            logger.warning("a training was interrupted", reason=str(error))
            self._leave(model, attempt, error)
            return
        if failure is not None:  # a full disk has room for the row only now
            self.give_up(model, attempt=attempt, reason=failure)

    def _outcome(self, model: Model, attempt: int, folder: Path) -> str | None:
        """Train and publish; return why the training has failed for good, None if it has not.

        Raises:
            TrainingInterruptedError: there is no result, but the next attempt may have one.
        """
        try:
            if attempt > 1:  # the first report may come a minute later
                again = f"The training was interrupted, and begins again (attempt {attempt})."
                self._renew(model, attempt, again)
            remove_tree(folder, staging=self._staging)
            folder.mkdir()
            spec = self._spec(model, attempt, folder)
            outcome = self._runner.train(
                spec, report=lambda text: self._try_to_report(model, attempt, text)
            )
            match outcome:
                case TrainingResult():
                    self._publish(model, spec, outcome)
                case TrainingFailure(reason=reason, problems=()):
                    return reason
                case TrainingFailure(reason=reason, problems=problems):
                    return f"{reason} {self._publish_problems(model, spec, problems)}"
        except AttemptLostError:
            logger.warning("a training lost its row to another attempt")
        except (BackboneError, StorageError, OSError, MemoryError) as error:
            if is_passing(error):
                raise TrainingInterruptedError(shortage(error), counts=False) from error
            if isinstance(error, (BackboneError, StorageError)):
                return str(error)
            raise
        return None

    def give_up(self, model: Model, *, attempt: int, reason: str) -> None:
        """End the training as failed, if the row is still this attempt's."""
        logger.warning("a training failed", reason=reason)
        self._log.note(model.id, f"failed: {reason}")
        with self._database.writing() as rows:
            rows.models.fail_training(
                model.id, attempt=attempt, status_message=f"Training failed: {reason}"
            )

    def _spec(self, model: Model, attempt: int, folder: Path) -> TrainingSpec:
        backbone = self._backbones.source(model.project)
        return TrainingSpec(
            entries=str(self._stored_files.path(model.entries)),
            store_connection=self._objects.connection,
            encryption_connection=self._bundles.encryption.connection,
            bundle=_bundle_name(model, attempt),
            kms_key_id=model.kms_key_id,
            folder=str(folder),
            project=model.project,
            version=model.version,
            arn=self._arns.model(model.project, model.version),
            output_bucket=model.output_bucket,
            output_prefix=model.output_prefix,
            evaluation_keys=evaluation_keys(
                model.output_prefix, model.project, version=model.version
            ),
            attempt=attempt,
            backbone=str(backbone) if backbone else None,
            detector_settings=model.detector_settings or DEFAULT_SETTINGS,
            mixed_sizes=model.takes_mixed_sizes(default=self._mixed_sizes),
            **self._options,
        )

    def _try_to_report(self, model: Model, attempt: int, text: str | None) -> None:
        """Report, unless the server of the database is away: nobody can take the row then.

        When it is back, the next report says whether somebody was quicker.
        """
        try:
            self._report(model, attempt, text)
        except DatabaseUnavailableError as error:
            logger.debug("the progress of a training cannot be written", reason=str(error))

    def _report(self, model: Model, attempt: int, text: str | None) -> None:
        self._renew(model, attempt, f"The model is being trained: {text}." if text else None)
        if text:
            self._log.note(model.id, text)

    def _renew(self, model: Model, attempt: int, status_message: str | None) -> None:
        """Extend the lease, and set the status message, if there is one.

        Raises:
            AttemptLostError: the row is another attempt's, or its training was cancelled.
        """
        with self._database.renewing() as rows:
            current = rows.models.renew(
                model.id,
                attempt=attempt,
                lease_until=self._clock(rows) + self._lease,
                status_message=status_message,
            )
        if not current:
            raise AttemptLostError

    def _leave(self, model: Model, attempt: int, error: TrainingInterruptedError) -> None:
        """Leave the row to the next attempt, after a pause that grows."""
        reason = str(error)
        self._log.note(model.id, f"interrupted: {reason}")
        failures = model.interruptions + 1 if error.counts else attempt
        pause = pause_after(failures) if error.waits else timedelta()
        with self._database.writing() as rows:
            now = self._clock(rows)
            rows.models.renew(
                model.id,
                attempt=attempt,
                lease_until=now,
                status_message=f"The training was interrupted, and begins again: {reason}",
            )
            rows.work.interrupt(
                "training",
                model.id,
                attempt=attempt,
                counts=error.counts,
                not_before=now + pause,
            )

    def _publish(self, model: Model, spec: TrainingSpec, result: TrainingResult) -> None:
        """Write the evaluation files to the output location, store the bundle, turn the row."""
        folder = Path(spec.folder)
        files = {
            folder / file: ObjectRef(bucket=spec.output_bucket, key=key)
            for file, key in result.files.items()
        }
        try:
            self._write_files(model, spec.attempt, files)
            self._bundles.publish(folder / "bundle", spec.bundle)
            self._finish(model, spec, result)
        except AttemptLostError:
            self._withdraw(model, bundle=spec.bundle, files=files.values())
            raise

    def _publish_problems(self, model: Model, spec: TrainingSpec, problems: Sequence[str]) -> str:
        """Write the file of problems and the log; return a sentence that names the file."""
        for problem in problems[:MAX_LOGGED_PROBLEMS]:
            self._log.note(model.id, problem)
        ref = ObjectRef(bucket=spec.output_bucket, key=spec.evaluation_keys.problems)
        self._report(model, spec.attempt, "writing the list of problems")
        document = problems_document(spec.arn, problems, ended_at=self._now())
        try:
            self._objects.write(ref, document.encode())
        except ObjectError as error:
            return f"The list of problems cannot be written: {error}"
        return f"{ref} lists every problem."

    def _write_files(self, model: Model, attempt: int, files: Mapping[Path, ObjectRef]) -> None:
        """Write the evaluation files; check now and then that the row is still this attempt's."""
        reported_at = None
        for file, ref in files.items():
            if reported_at is None or self._now() - reported_at >= REPORT_PACE:
                reported_at = self._now()
                self._report(model, attempt, "writing the evaluation files")
            self._objects.write(ref, file.read_bytes())

    def _finish(self, model: Model, spec: TrainingSpec, result: TrainingResult) -> None:
        bucket, keys = spec.output_bucket, spec.evaluation_keys
        method = EvaluationMethod(result.evaluation_method) if result.evaluation_method else None
        with self._database.writing() as rows:
            current = rows.models.finish_training(
                model.id,
                attempt=spec.attempt,
                status_message=" ".join((TRAINED, *result.notes)),
                performance=Performance(**result.performance, method=method),
                evaluation_manifest=ObjectRef(bucket=bucket, key=keys.manifest),
                evaluation_result=ObjectRef(bucket=bucket, key=keys.result),
                evaluation_ended_at=datetime.fromisoformat(result.evaluation_ended_at),
                bundle=spec.bundle,
            )
        if not current:
            raise AttemptLostError
        self._log.note(model.id, "completed")

    def _withdraw(self, model: Model, *, bundle: str, files: Iterable[ObjectRef]) -> None:
        """Remove the files of a lost attempt; a later attempt writes the same files itself."""
        self._bundles.remove(bundle)
        with self._database.reading() as rows:
            current = rows.models.find(model.project, model.version)
        if current and current.id == model.id and current.status is ModelStatus.TRAINING_FAILED:
            for ref in files:
                self._objects.delete(ref)


def _bundle_name(model: Model, attempt: int) -> str:
    return f"{model.id}-{attempt}"
