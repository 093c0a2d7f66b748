"""The threshold of a model: reading it, the effect of others, and moving it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blemish.domain.entities import ModelStatus
from blemish.engine.bundle import BundleInfo
from blemish.engine.errors import BundleError
from blemish.service.models.adjusting import AdjustableModels
from blemish.service.models.bundles import use_current
from blemish.storage.errors import EncryptionError

if TYPE_CHECKING:
    from blemish.engine.thresholds import ThresholdEffect

MOVING = "The model is being moved to another threshold."


@dataclass(frozen=True, kw_only=True)
class MovedThreshold:
    """The result of moving a threshold."""

    status: ModelStatus
    threshold: float
    trained_threshold: float


@dataclass(frozen=True, kw_only=True)
class ThresholdDescription:
    """The threshold of a model, and the effect of thresholds on the test images."""

    threshold: float
    trained_threshold: float
    #: None if the bundle has no scores of test images
    current: ThresholdEffect | None
    trained: ThresholdEffect | None
    #: one for each requested threshold
    effects: tuple[ThresholdEffect, ...]


class ThresholdService:
    """The thresholds of the models."""

    def __init__(self, models: AdjustableModels) -> None:
        self._models = models

    def move(self, project: str, version: str, *, threshold: float | None) -> MovedThreshold:
        """Move the threshold, or restore the trained one with None.

        A hosted model becomes SYSTEM_UPDATING and uses the old threshold until it is loaded.

        Raises:
            ResourceNotFoundError: the project or the model does not exist.
            ConflictError: its status does not allow it, or its bundle is damaged.
        """
        from blemish.engine.thresholds import move_threshold

        model, name = self._models.adjustable(project, version)
        try:
            bundle = self._models.bundles.read(name)
            moved = move_threshold(bundle, threshold)
            status = model.status
            if moved.info != bundle.info:
                status = self._models.replace_bundle(model, moved, instead_of=name, moving=MOVING)
        except (BundleError, EncryptionError) as error:
            raise self._models.conflict(model, str(error)) from None
        return MovedThreshold(
            status=status,
            threshold=moved.info.threshold,
            trained_threshold=moved.info.trained_threshold,
        )

    def describe(
        self, project: str, version: str, *, thresholds: Sequence[float] | None
    ) -> ThresholdDescription:
        """Return the current threshold, and the effect of others on the test images.

        None as `thresholds` stands for all thresholds that change a verdict.

        Raises:
            ResourceNotFoundError: the project or the model does not exist.
            ConflictError: it is not trained, or its bundle cannot be used.
        """
        from blemish.engine.thresholds import threshold_effect, turning_points

        info = self._info(project, version)
        scores = info.test_scores
        current = trained = None
        shown: Sequence[float] = ()
        if scores is not None:
            current = threshold_effect(scores, info.threshold)
            trained = threshold_effect(scores, info.trained_threshold)
            shown = turning_points(scores) if thresholds is None else thresholds
        return ThresholdDescription(
            threshold=info.threshold,
            trained_threshold=info.trained_threshold,
            current=current,
            trained=trained,
            effects=tuple(threshold_effect(scores, value) for value in shown) if scores else (),
        )

    def _info(self, project: str, version: str) -> BundleInfo:
        try:
            return use_current(
                lambda: self._bundle_name(project, version), self._models.bundles.info
            )
        except (BundleError, EncryptionError) as error:
            raise self._models.conflict(self._models.find(project, version), str(error)) from None

    def _bundle_name(self, project: str, version: str) -> str:
        model = self._models.find(project, version)
        if model.bundle is None:
            raise self._models.conflict(model, "it has a threshold when it is trained")
        return model.bundle
