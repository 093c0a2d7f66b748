"""Detection: one image for a hosted model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from anyio import to_thread

from blemish.domain.arns import ArnScope
from blemish.domain.entities import Model
from blemish.domain.errors import (
    ConflictError,
    ResourceType,
    ThrottlingError,
    ValidationError,
)
from blemish.domain.lifecycle import MODEL_ANSWERING
from blemish.domain.limits import Limits, Quota
from blemish.engine.errors import BundleError
from blemish.engine.images.formats import ACCEPTED, FORMATS, ImageError
from blemish.engine.images.sizes import ImageLimits
from blemish.service.models.models import require_model
from blemish.storage.database.database import Database

if TYPE_CHECKING:
    from blemish.engine.runtime import Detection

MEDIA_TYPES = tuple(FORMATS)
"""The original's two, and ours; the format of the body is found by its content."""

UPDATE_TIMEOUT_S = 10.0
"""How long a detection waits for a hosted model that is not loaded, or not any more."""


class ModelBusyError(Exception):
    """The queue of a model is full; `wait_s` is how long the images in it will take."""

    def __init__(self, *, wait_s: float) -> None:
        super().__init__()
        self.wait_s = wait_s


class HostedModels(Protocol):
    """The hosted models, wherever they run."""

    async def detect(
        self,
        model: Model,
        data: bytes,
        *,
        limits: ImageLimits,
        mixed_sizes: bool,
        timeout_s: float,
    ) -> Detection | None:
        """Let an image wait in the queue of a model; return the result.

        A model that is not loaded is loaded first.

        Returns:
            None if the model is not loaded within `timeout_s` seconds, or was stopped.

        Raises:
            ImageError: the model cannot take the image.
            ModelBusyError: the queue is full.
            BundleError: the model cannot be loaded.
            StorageError: its bundle cannot be opened, or the store does not answer.
        """


class DetectionCounter(Protocol):
    """Counts detections."""

    def detected(self, model: Model, *, is_anomalous: bool, took_s: float) -> None:
        """Count an image with a result."""

    def failed(self, model: Model, error: Exception) -> None:
        """Count a detection without a result."""


class DetectionService:
    """Detects anomalies in images."""

    def __init__(
        self,
        database: Database,
        *,
        hosted: HostedModels,
        limits: Limits,
        mixed_sizes: bool,
        arns: ArnScope,
        counter: DetectionCounter,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._database = database
        self._hosted = hosted
        self._limits = ImageLimits.of(limits)
        self._mixed_sizes = mixed_sizes
        self._arns = arns
        self._counter = counter
        self._clock = clock

    def model_for(self, project: str, version: str, *, body: bytes, media_type: str) -> Model:
        """Return the model that an image is for.

        Raises:
            ResourceNotFoundError: there is no such project or model.
            ValidationError: the body is empty or of another type than an image.
        """
        if media_type not in MEDIA_TYPES:
            raise ValidationError(
                f"Content-Type is {media_type!r}; it must be one of {', '.join(MEDIA_TYPES)}."
            )
        if not body:
            raise ValidationError(f"The body is empty; it must be a {ACCEPTED} image.")
        return self._model(project, version)

    async def detect(self, model: Model, body: bytes) -> Detection:
        """Return the result of one image.

        Raises:
            ThrottlingError: the queue of the model is full, or it takes long to load.
            ConflictError: the model is not hosted.
            ValidationError: the body is no image that the model can take.
        """
        started_at = self._clock()
        try:
            detection = await self._detection(model, body)
        except Exception as error:
            self._counter.failed(model, error)
            raise
        took_s = self._clock() - started_at
        self._counter.detected(model, is_anomalous=detection.is_anomalous, took_s=took_s)
        return detection

    def _model(self, project: str, version: str) -> Model:
        with self._database.looking_up() as rows:
            return require_model(rows, project, version)

    async def _detection(self, model: Model, body: bytes) -> Detection:
        if model.status not in MODEL_ANSWERING:
            raise self._not_hosted(model)
        try:
            detection = await self._hosted.detect(
                model,
                body,
                limits=self._limits,
                mixed_sizes=model.takes_mixed_sizes(default=self._mixed_sizes),
                timeout_s=UPDATE_TIMEOUT_S,
            )
        except ImageError as error:
            raise ValidationError(str(error)) from error
        except ModelBusyError as error:
            raise _busy(model, wait_s=error.wait_s) from None
        except BundleError as error:
            raise self._unusable(model, str(error)) from error
        if detection is None:  # its status may have changed since
            newest = await to_thread.run_sync(self._model, model.project, str(model.version))
            if newest.status in MODEL_ANSWERING:
                raise _loading(newest)
            raise self._not_hosted(newest)
        return detection

    def _not_hosted(self, model: Model) -> ConflictError:
        return self._unusable(model, "it must be HOSTED. Start it with StartModel.")

    def _unusable(self, model: Model, reason: str) -> ConflictError:
        return ConflictError(
            f"Model version {model.version} of project {model.project} is {model.status}; {reason}",
            resource_type=ResourceType.MODEL,
            resource_id=self._arns.model(model.project, model.version),
        )


def _loading(model: Model) -> ThrottlingError:
    return ThrottlingError(
        f"Model version {model.version} of project {model.project} is still being loaded. "
        "Try again.",
        retry_after_s=1,
        quota=Quota.DETECTIONS,
    )


def _busy(model: Model, *, wait_s: float) -> ThrottlingError:
    return ThrottlingError(
        f"Model version {model.version} of project {model.project} has as many images "
        f"waiting as it may; they take about {wait_s:.1f} seconds. Come back then, "
        "or start the model with more inference units.",
        retry_after_s=max(1, math.ceil(wait_s)),
        quota=Quota.DETECTIONS,
    )
