"""The work behind TRAINING: have a runner train on the frozen entries, then publish what it made.

A training is tried again when it is interrupted: by a crash, a restart, a process that was killed
or has fallen silent. Everything an attempt makes lies in a folder of its own until the one
conditional UPDATE that names the attempt; what a stale attempt made is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.arns import ArnScope
from blemish.domain.entities import Model, ModelStatus, ObjectRef, Performance
from blemish.engine.errors import BackboneError
from blemish.service.models.bundles import Bundles
from blemish.service.objects import Objects
from blemish.service.training.backbones import ProjectBackbones
from blemish.service.training.evaluation_files import evaluation_keys
from blemish.service.training.log import TrainingLog
from blemish.service.training.runner import (
    AttemptLostError,
    TrainingFailure,
    TrainingInterruptedError,
    TrainingJob,
    TrainingResult,
    TrainingRunner,
)
from blemish.storage.database.database import Database
from blemish.storage.errors import StorageError
from blemish.storage.files import remove_tree
from blemish.storage.stored_files import KeptFiles

logger: FilteringBoundLogger = structlog.get_logger(__name__)

MAX_ATTEMPTS = 5
"""Tries before an interrupted training is given up."""

REPORT_PACE = timedelta(seconds=1)
"""How often a training that writes its files looks whether it was cancelled."""

TRAINED = "Training completed successfully."


class TrainingWork:
    """Brings a model from TRAINING to TRAINED or TRAINING_FAILED."""

    def __init__(
        self,
        database: Database,
        *,
        runner: TrainingRunner,
        objects: Objects,
        kept: KeptFiles,
        bundles: Bundles,
        attempts: Path,
        staging: Path,
        backbones: ProjectBackbones,
        arns: ArnScope,
        options: Mapping[str, Any],
        log: TrainingLog,
        now: Callable[[], datetime],
        lease: timedelta,
    ) -> None:
        self._database = database
        self._runner = runner
        self._objects = objects
        self._kept = kept
        self._attempts = attempts
        self._bundles = bundles
        self._staging = staging
        self._backbones = backbones
        self._arns = arns
        self._options = options
        self._log = log
        self._now = now
        self._lease = lease

    def carry_out(self, model: Model, *, attempt: int) -> None:
        """Train a model; an interrupted attempt leaves the row to the next."""
        self._log.note(model.id, "begun" if attempt == 1 else f"begun anew, attempt {attempt}")
        if attempt > MAX_ATTEMPTS:
            self.give_up(model, attempt=attempt, reason=f"it was interrupted {attempt - 1} times.")
            return
        folder = self._attempts / f"{model.id}-{attempt}"
        try:
            failure = self._outcome(model, attempt, folder)
        finally:
            remove_tree(folder, staging=self._staging)
        if failure is not None:  # only now is there room for it again, where the disk was full
            self.give_up(model, attempt=attempt, reason=failure)

    def _outcome(self, model: Model, attempt: int, folder: Path) -> str | None:
        """Train and publish; return why it has failed for good, None if it has not."""
        try:
            remove_tree(folder, staging=self._staging)
            folder.mkdir()
            outcome = self._runner.train(
                self._job(model, attempt, folder),
                report=lambda text: self._report(model, attempt, text),
            )
            match outcome:
                case TrainingResult():
                    self._publish(model, attempt, folder, outcome)
                case TrainingFailure(reason=reason):
                    return reason
        except TrainingInterruptedError as error:
            logger.warning("a training was interrupted", reason=str(error))
            self._log.note(model.id, f"interrupted: {error}")
            self._leave(model, attempt)
        except AttemptLostError:
            logger.warning("a training lost its row to another attempt")
        except (BackboneError, StorageError) as error:
            return str(error)
        return None

    def give_up(self, model: Model, *, attempt: int, reason: str) -> None:
        """End the training as failed, if the row is still this attempt's."""
        logger.warning("a training failed", reason=reason)
        self._log.note(model.id, f"failed: {reason}")
        with self._database.writing() as rows:
            rows.models.fail_training(
                model.id, attempt=attempt, status_message=f"Training failed: {reason}"
            )

    def _job(self, model: Model, attempt: int, folder: Path) -> TrainingJob:
        backbone = self._backbones.path(model.project)
        return TrainingJob(
            entries=str(self._kept.path(model.entries)),
            reach=self._objects.reach,
            encryption=self._bundles.encryption.reach,
            bundle=_bundle_name(model, attempt),
            kms_key_id=model.kms_key_id,
            folder=str(folder),
            project=model.project,
            version=model.version,
            arn=self._arns.model(model.project, model.version),
            output_bucket=model.output_bucket,
            output_prefix=model.output_prefix,
            attempt=attempt,
            backbone=str(backbone) if backbone else None,
            **self._options,
        )

    def _report(self, model: Model, attempt: int, text: str | None) -> None:
        with self._database.writing() as rows:
            current = rows.models.renew(
                model.id,
                attempt=attempt,
                lease_until=self._now() + self._lease,
                status_message=f"The model is being trained: {text}." if text else None,
            )
        if not current:
            raise AttemptLostError
        if text:
            self._log.note(model.id, text)

    def _leave(self, model: Model, attempt: int) -> None:
        """End the lease, so that the next attempt need not wait for it."""
        with self._database.writing() as rows:
            rows.models.renew(model.id, attempt=attempt, lease_until=self._now())

    def _publish(self, model: Model, attempt: int, folder: Path, result: TrainingResult) -> None:
        """Copy the evaluation files to their names, keep the bundle, then turn the row."""
        bundle = _bundle_name(model, attempt)
        files = {
            folder / file: ObjectRef(bucket=model.output_bucket, key=key)
            for file, key in result.files.items()
        }
        try:
            self._write_files(model, attempt, files)
            self._bundles.publish(folder / "bundle", bundle)
            self._turn(model, attempt, bundle=bundle, result=result)
        except AttemptLostError:
            self._withdraw(model, bundle=bundle, files=files.values())
            raise

    def _write_files(self, model: Model, attempt: int, files: Mapping[Path, ObjectRef]) -> None:
        """Write the evaluation files, and see now and then that the row is still this attempt's."""
        asked = None
        for file, ref in files.items():
            if asked is None or self._now() - asked >= REPORT_PACE:
                asked = self._now()
                self._report(model, attempt, "writing the evaluation files")
            self._objects.write(ref, file.read_bytes())

    def _turn(self, model: Model, attempt: int, *, bundle: str, result: TrainingResult) -> None:
        manifest, document = evaluation_keys(
            model.output_prefix, model.project, version=model.version
        )
        with self._database.writing() as rows:
            current = rows.models.finish_training(
                model.id,
                attempt=attempt,
                status_message=" ".join((TRAINED, *result.notes)),
                performance=Performance(**result.performance),
                evaluation_manifest=ObjectRef(bucket=model.output_bucket, key=manifest),
                evaluation_result=ObjectRef(bucket=model.output_bucket, key=document),
                evaluation_ended_at=datetime.fromisoformat(result.evaluation_ended_at),
                bundle=bundle,
            )
        if not current:
            raise AttemptLostError
        self._log.note(model.id, "completed")

    def _withdraw(self, model: Model, *, bundle: str, files: Iterable[ObjectRef]) -> None:
        """Take back what a lost attempt has made; a later attempt writes the same files itself."""
        self._bundles.remove(bundle)
        with self._database.reading() as rows:
            found = rows.models.find(model.project, model.version)
        if found and found.id == model.id and found.status is ModelStatus.TRAINING_FAILED:
            for ref in files:
                self._objects.delete(ref)


def _bundle_name(model: Model, attempt: int) -> str:
    return f"{model.id}-{attempt}"
