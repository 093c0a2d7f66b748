"""Starting, updating, stopping and deleting models in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.attempts import pause_after
from blemish.domain.entities import InferenceUnits, Model, ModelStatus
from blemish.domain.lifecycle import MODEL_ANSWERING, MODEL_LOADING
from blemish.engine.errors import BundleError
from blemish.service.models.bundles import Bundles
from blemish.storage.database.database import Database
from blemish.storage.errors import DatabaseError, EncryptionError, ObjectError, StoreWriteError
from blemish.storage.stored_files import StoredFiles

logger: FilteringBoundLogger = structlog.get_logger(__name__)

HOSTED = "The model is running."
STOPPED = "The model was stopped."
MOVING = "The model is being loaded again after a restart."
DELETION_RIGHT = (
    "Allow s3:DeleteObject there to the credentials of BLEMISH_S3_PROFILE or "
    "BLEMISH_S3_ACCESS_KEY_ID."
)
DELETED_LATER = "It is tried again by itself."
RETRIED = "It is tried again by itself until you stop the model."

WAITING = {
    ModelStatus.STARTING_HOSTING: "The model is starting",
    ModelStatus.SYSTEM_UPDATING: "The model is being loaded",
}

LOAD_LEASE = timedelta(hours=1)

MAX_ENDS_IN_LOAD = 2
"""Ends of the server during the load of a model before it is not loaded again."""

ENDED_SERVER = (
    f"the server ended {MAX_ENDS_IN_LOAD} times while it loaded the model, perhaps for want of "
    "memory. Start the model again when the cause is removed."
)


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The inference units of a loaded model."""

    units: int
    #: images that wait for a unit
    waiting: int
    #: units that the model is to have now; None for the most that it may have
    desired: int | None = None


class ModelStoppedError(Exception):
    """A model that is being loaded is not to be hosted any more."""


WaitReport = Callable[[str], None]
"""Is called again and again while a load waits, with what for; may raise ModelStoppedError."""


def no_report(_: str) -> None:
    """Do nothing about a load that waits."""


class HostingRunner(Protocol):
    """Runs hosted models. `attempt` is the attempt that loaded a model."""

    def load(
        self,
        model_id: int,
        bundle: str,
        *,
        units: InferenceUnits,
        attempt: int,
        report: WaitReport = no_report,
    ) -> None:
        """Load a bundle; until it is loaded, the previous one answers detections.

        Raises:
            BundleError: the bundle cannot be used.
            EncryptionError: it cannot be opened.
            ModelStoppedError: `report` raised it.
        """

    def unload(self, model_id: int, *, attempt: int | None = None) -> None:
        """Unload a model; with an attempt, only if no later attempt loaded it."""

    def fitting(self, bundles: Sequence[str]) -> int:
        """Return how many of these bundles, from the first on, can be loaded at the same time."""

    def capacities(self) -> Mapping[int, Capacity]:
        """Return the capacity of each loaded model."""

    def unload_outdated(self, models: Sequence[Model]) -> None:
        """Unload what the rows no longer ask for.

        Args:
            models: the rows of all loaded models that are hosted, or about to be.
        """


class HostingWork:
    """Moves a model from a status in progress to the next one."""

    def __init__(
        self,
        database: Database,
        *,
        runner: HostingRunner,
        stored_files: StoredFiles,
        bundles: Bundles,
        now: Callable[[], datetime],
        is_shared: bool = False,
    ) -> None:
        self._database = database
        #: whether other servers host the same models
        self._is_shared = is_shared
        self._runner = runner
        self._now = now
        self._stored_files = stored_files
        self._bundles = bundles

    def begin(self) -> None:
        """Mark hosted models to be loaded again after a start of the server.

        Those that do not fit into memory, the oldest, are loaded when an image comes for them. If
        other servers host them too, all are.
        """
        with self._database.writing() as rows:
            rows.models.retry_hosting(self._now())
            if self._is_shared:
                return
            newest_first = rows.models.with_status(ModelStatus.HOSTED)[::-1]
            fitting = self._runner.fitting([model.bundle or "" for model in newest_first])
            for model in newest_first[:fitting]:
                rows.models.move(
                    model.id,
                    sources=[ModelStatus.HOSTED],
                    target=ModelStatus.SYSTEM_UPDATING,
                    status_message=MOVING,
                )

    def unload_outdated(self, _now: datetime) -> None:
        """Unload the models that were stopped, deleted or changed by other servers."""
        loaded = self._runner.capacities()
        if not loaded:
            return
        with self._database.reading() as rows:
            models = rows.models.with_ids(loaded)
        wanted = MODEL_ANSWERING | MODEL_LOADING
        self._runner.unload_outdated([model for model in models if model.status in wanted])

    def load_all(self) -> None:
        """Load every model that is to be hosted, one after the other, without a reconciler."""
        with self._database.reading() as rows:
            models = [model for model in rows.models.unsettled() if model.status in MODEL_LOADING]
        for model in models:
            now = self._now()
            with self._database.writing() as rows:
                attempt = rows.models.claim(
                    model.id, owner="load all", now=now, lease_until=now + LOAD_LEASE
                )
            if attempt is not None:
                self.carry_out(model, attempt=attempt)

    def carry_out(self, model: Model, *, attempt: int) -> None:
        """Do the work of a status in progress; a stale attempt changes nothing."""
        match model.status:
            case status if status in MODEL_LOADING:
                self._load(model, attempt)
            case ModelStatus.STOPPING_HOSTING:
                self._runner.unload(model.id)
                self._finish(model, attempt, ModelStatus.TRAINED, STOPPED)
            case ModelStatus.DELETING:
                self._delete(model, attempt)

    def give_up(self, model: Model, *, attempt: int, reason: str) -> None:
        """Mark the start of a model as failed, if this attempt still holds the row.

        A model that still answers as before an update stays SYSTEM_UPDATING, and goes on answering.
        """
        if model.status not in MODEL_LOADING:
            return
        pause = pause_after(model.hosting_failures + 1)
        is_update = model.status is ModelStatus.SYSTEM_UPDATING and self._may_answer(model.id)
        logger.warning(
            "a model could not be updated" if is_update else "a model could not be started",
            reason=reason,
            again_in_s=pause.total_seconds(),
        )
        if not is_update:
            self._runner.unload(model.id, attempt=attempt)
        self._fail(
            model,
            attempt,
            f"{reason} {RETRIED}",
            not_before=self._now() + pause,
            is_update=is_update,
        )

    def _may_answer(self, model_id: int) -> bool:
        """Return whether a model that is being updated answers here, or perhaps elsewhere."""
        capacity = self._runner.capacities().get(model_id)
        return self._is_shared or (capacity is not None and capacity.units > 0)

    def _load(self, model: Model, attempt: int) -> None:
        assert model.bundle is not None
        assert model.units is not None
        if model.interruptions >= MAX_ENDS_IN_LOAD:
            logger.error("a model that ended the server is not loaded", ends=model.interruptions)
            self._fail(model, attempt, ENDED_SERVER, not_before=None)
            return
        try:
            self._runner.load(
                model.id,
                model.bundle,
                units=model.units,
                attempt=attempt,
                report=partial(self._report_wait, model, attempt),
            )
        except ModelStoppedError:
            logger.info("the load of a model has ended, since it was stopped")
            return
        except (BundleError, EncryptionError) as error:
            self.give_up(model, attempt=attempt, reason=str(error))
            return
        if not self._finish(model, attempt, ModelStatus.HOSTED, HOSTED):
            self._runner.unload(model.id, attempt=attempt)

    def _report_wait(self, model: Model, attempt: int, reason: str) -> None:
        """Say what a load waits for; a model that failed to start keeps the reason of that.

        Raises:
            ModelStoppedError: the row is not this attempt's any more.
        """
        beginning = WAITING.get(model.status)
        message = f"{beginning}: {reason}" if beginning else model.status_message
        with suppress(DatabaseError), self._database.renewing() as rows:
            if not rows.models.renew(model.id, attempt=attempt, status_message=message):
                raise ModelStoppedError

    def _delete(self, model: Model, attempt: int) -> None:
        """Delete the files, then the row; after a crash in between, the work is repeated."""
        try:
            if model.bundle:
                self._bundles.remove(model.bundle)
            self._stored_files.delete(model.entries)
        except ObjectError as error:
            self._delay_deletion(model, attempt, error)
            return
        with self._database.writing() as rows:
            rows.models.delete(model.id)

    def _delay_deletion(self, model: Model, attempt: int, error: ObjectError) -> None:
        """Say why the files cannot be deleted, and leave the row to a later attempt."""
        pause = pause_after(model.hosting_failures + 1)
        reason = str(error)
        if self._is_shared and isinstance(error, StoreWriteError):
            reason += f" {DELETION_RIGHT}"
        logger.warning(
            "a model could not be deleted", reason=reason, again_in_s=pause.total_seconds()
        )
        with self._database.writing() as rows:
            rows.models.fail_hosting(
                model,
                attempt=attempt,
                target=ModelStatus.DELETING,
                status_message=f"The model could not be deleted yet: {reason} {DELETED_LATER}",
                not_before=self._now() + pause,
            )

    def _fail(
        self,
        model: Model,
        attempt: int,
        reason: str,
        *,
        not_before: datetime | None,
        is_update: bool = False,
    ) -> None:
        with self._database.writing() as rows:
            current = rows.models.fail_hosting(
                model,
                attempt=attempt,
                target=model.status if is_update else ModelStatus.HOSTING_FAILED,
                status_message=(
                    f"The model could not be {'updated' if is_update else 'started'}: {reason}"
                ),
                not_before=not_before,
            )
            if current and not is_update:
                rows.client_tokens.spend(model.id)  # a repeated StartModel must start it again

    def _finish(self, model: Model, attempt: int, target: ModelStatus, message: str) -> bool:
        with self._database.writing() as rows:
            return rows.models.finish(
                model.id,
                attempt=attempt,
                sources=[model.status],
                target=target,
                status_message=message,
            )


def hosted_row(database: Database, model_id: int) -> Model | None:
    """Return the row of a model if it is to answer detections."""
    with database.looking_up() as rows:
        models = rows.models.with_ids([model_id])
    return next((model for model in models if model.status in MODEL_ANSWERING), None)
