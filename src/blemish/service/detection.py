"""Detection: one picture for a hosted model."""

from __future__ import annotations

from typing import Protocol

from blemish.domain.arns import ArnScope
from blemish.domain.entities import Model, ModelStatus
from blemish.domain.errors import ConflictError, ResourceType, ValidationError
from blemish.domain.limits import Limits
from blemish.engine.images import ImageError, ImageLimits
from blemish.engine.runtime import Detection
from blemish.service.models import require_model
from blemish.storage.database import Database

MEDIA_TYPES = ("image/jpeg", "image/png")
UPDATE_PATIENCE_S = 10.0
"""How long a detection waits for a hosted model that comes back after a restart."""


class HostedModels(Protocol):
    """Where hosted models run."""

    def detect(
        self,
        model_id: int,
        data: bytes,
        *,
        limits: ImageLimits,
        mixed_sizes: bool,
        timeout_s: float,
    ) -> Detection | None:
        """Judge a picture, waiting so long for the model; None if it does not come.

        Raises:
            ImageError: it is no picture that the model can judge.
        """


def image_limits(limits: Limits) -> ImageLimits:
    """Return what a picture may measure."""
    return ImageLimits(
        min_side=limits.image_min_side,
        max_side=limits.image_max_side,
        max_pixels=limits.image_max_pixels,
    )


class DetectionService:
    """Says of a picture whether it shows an anomaly."""

    def __init__(
        self,
        database: Database,
        *,
        hosted: HostedModels,
        limits: Limits,
        mixed_sizes: bool,
        arns: ArnScope,
    ) -> None:
        self._database = database
        self._hosted = hosted
        self._limits = image_limits(limits)
        self._mixed_sizes = mixed_sizes
        self._arns = arns

    def detect(self, project: str, version: str, *, body: bytes, media_type: str) -> Detection:
        """Judge one picture.

        Raises:
            ResourceNotFoundError: there is no such project or model.
            ConflictError: the model is not hosted.
            ValidationError: the body is no picture that the model can judge.
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
            detection = self._detection(model, body)
        except ImageError as error:
            raise ValidationError(str(error)) from None
        if detection is None:
            with self._database.reading() as rows:  # it may have moved on since it was waited for
                model = require_model(rows, model.project, str(model.version))
            raise ConflictError(
                f"Model version {model.version} of project {model.project} is {model.status}; "
                "it must be HOSTED. Start it with StartModel.",
                resource_type=ResourceType.MODEL,
                resource_id=self._arns.model(model.project, model.version),
            )
        return detection

    def _detection(self, model: Model, body: bytes) -> Detection | None:
        if model.status not in {ModelStatus.HOSTED, ModelStatus.SYSTEM_UPDATING}:
            return None
        return self._hosted.detect(
            model.id,
            body,
            limits=self._limits,
            mixed_sizes=self._mixed_sizes,
            timeout_s=UPDATE_PATIENCE_S,
        )
