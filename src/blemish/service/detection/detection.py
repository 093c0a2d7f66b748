"""Detection: one image for a hosted model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Protocol, TypeVar

from blemish.domain.arns import ArnScope
from blemish.domain.entities import Model
from blemish.domain.errors import (
    ConflictError,
    ResourceType,
    ServiceError,
    ThrottlingError,
    ValidationError,
)
from blemish.domain.lifecycle import MODEL_ANSWERING
from blemish.domain.limits import Limits, Quota
from blemish.engine.images.decode import ImageError, ImageLimits
from blemish.engine.runtime import Detection
from blemish.service.models.models import require_model
from blemish.storage.database.database import Database

MEDIA_TYPES = ("image/jpeg", "image/png")
UPDATE_PATIENCE_S = 10.0
"""How long a detection waits for a hosted model that comes back after a restart."""


T = TypeVar("T")

Outcome = Detection | ImageError | None
"""What a model says of an image; why it says nothing; None if the model was not there."""


class ModelBusyError(Exception):
    """As many images wait for a model as may; `wait_s` is how long those before it will take."""

    def __init__(self, *, wait_s: float) -> None:
        super().__init__()
        self.wait_s = wait_s


class HostedModels(Protocol):
    """Where hosted models run."""

    def judge(
        self,
        model_id: int,
        data: bytes,
        *,
        limits: ImageLimits,
        mixed_sizes: bool,
        timeout_s: float,
        then: Callable[[Outcome], T],
    ) -> Future[T]:
        """Have an image judged when its turn comes; return what `then` makes of the outcome.

        A model that is not loaded is waited for so long.

        Raises:
            ModelBusyError: too many wait already.
        """


class DetectionTally(Protocol):
    """Who counts detections."""

    def judged(self, model: Model, *, is_anomalous: bool, took_s: float) -> None:
        """Count an image with a verdict."""

    def failed(self, model: Model, error: BaseException) -> None:
        """Count a detection without one."""


class DetectionService:
    """Says of an image whether it shows an anomaly."""

    def __init__(
        self,
        database: Database,
        *,
        hosted: HostedModels,
        limits: Limits,
        mixed_sizes: bool,
        arns: ArnScope,
        tally: DetectionTally,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._database = database
        self._hosted = hosted
        self._limits = ImageLimits.of(limits)
        self._mixed_sizes = mixed_sizes
        self._arns = arns
        self._tally = tally
        self._clock = clock

    def detect(self, project: str, version: str, *, body: bytes, media_type: str) -> Detection:
        """Judge one image, and wait for it.

        Raises:
            ServiceError: what `submit` and its future raise.
        """
        return self.submit(
            project, version, body=body, media_type=media_type, answer=lambda detection: detection
        ).result()

    def submit(
        self,
        project: str,
        version: str,
        *,
        body: bytes,
        media_type: str,
        answer: Callable[[Detection], T],
    ) -> Future[T]:
        """Have one image judged when its turn comes; return what `answer` makes of it.

        The future raises the last two of these as well.

        Raises:
            ResourceNotFoundError: there is no such project or model.
            ThrottlingError: as many images wait for the model as may.
            ConflictError: the model is not hosted.
            ValidationError: the body is no image that the model can judge.
        """
        if media_type not in MEDIA_TYPES:
            raise ValidationError(
                f"Content-Type is {media_type!r}; it must be one of {', '.join(MEDIA_TYPES)}."
            )
        if not body:
            raise ValidationError("The body is empty; it must be a JPEG or PNG image.")
        with self._database.reading() as rows:
            model = require_model(rows, project, version)
        try:
            future = self._submitted(model, body, answer)
        except ServiceError as error:
            self._tally.failed(model, error)
            raise
        future.add_done_callback(partial(self._count_failure, model))
        return future

    def _submitted(self, model: Model, body: bytes, answer: Callable[[Detection], T]) -> Future[T]:
        if model.status not in MODEL_ANSWERING:
            raise self._not_hosted(model)
        began = self._clock()
        try:
            return self._hosted.judge(
                model.id,
                body,
                limits=self._limits,
                mixed_sizes=self._mixed_sizes,
                timeout_s=UPDATE_PATIENCE_S,
                then=lambda outcome: answer(self._detection(model, outcome, began=began)),
            )
        except ModelBusyError as error:
            raise ThrottlingError(
                f"Model version {model.version} of project {model.project} has as many images "
                f"waiting as it may; they take about {error.wait_s:.1f} seconds. Come back then, "
                "or start the model with more inference units.",
                retry_after_s=max(1, math.ceil(error.wait_s)),
                quota=Quota.DETECTIONS,
            ) from None

    def _count_failure(self, model: Model, done: Future[T]) -> None:
        if not done.cancelled() and (error := done.exception()):
            self._tally.failed(model, error)

    def _detection(self, model: Model, outcome: Outcome, *, began: float) -> Detection:
        match outcome:
            case None:
                with self._database.reading() as rows:  # it may have moved on meanwhile
                    raise self._not_hosted(require_model(rows, model.project, str(model.version)))
            case ImageError():
                raise ValidationError(str(outcome))
            case _:
                took_s = self._clock() - began
                self._tally.judged(model, is_anomalous=outcome.is_anomalous, took_s=took_s)
                return outcome

    def _not_hosted(self, model: Model) -> ConflictError:
        return ConflictError(
            f"Model version {model.version} of project {model.project} is {model.status}; "
            "it must be HOSTED. Start it with StartModel.",
            resource_type=ResourceType.MODEL,
            resource_id=self._arns.model(model.project, model.version),
        )
