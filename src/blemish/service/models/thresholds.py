"""The threshold of a model: reading it, the effect of others, and moving it.

A moved threshold is written into a new bundle. One conditional UPDATE gives the model that bundle,
and then the old one is removed. After a crash, the next start removes the bundle without a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from blemish.domain.arns import ArnScope
from blemish.domain.entities import Model, ModelStatus
from blemish.domain.errors import ConflictError, ResourceType
from blemish.domain.lifecycle import MODEL_ADJUSTABLE
from blemish.engine.bundle import Bundle, BundleInfo
from blemish.engine.errors import BundleError
from blemish.service.models.bundles import Bundles, use_current
from blemish.service.models.models import require_model
from blemish.storage.database.database import Database
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

    def __init__(
        self,
        database: Database,
        *,
        bundles: Bundles,
        arns: ArnScope,
        new_name: Callable[[], str],
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._bundles = bundles
        self._arns = arns
        self._new_name = new_name
        self._wake = wake

    def move(self, project: str, version: str, *, threshold: float | None) -> MovedThreshold:
        """Move the threshold, or restore the trained one with None.

        A hosted model becomes SYSTEM_UPDATING and uses the old threshold until it is loaded.

        Raises:
            ResourceNotFoundError: the project or the model does not exist.
            ConflictError: its status does not allow it, or its bundle is damaged.
        """
        from blemish.engine.thresholds import move_threshold

        model = self._model(project, version)
        if model.status not in MODEL_ADJUSTABLE or model.bundle is None:
            raise self._conflict(model, "it must be TRAINED, HOSTED or HOSTING_FAILED to be moved")
        try:
            bundle = self._bundles.read(model.bundle)
            moved = move_threshold(bundle, threshold)
            status = model.status
            if moved.info != bundle.info:
                status = self._give(model, moved, instead_of=model.bundle)
        except (BundleError, EncryptionError) as error:
            raise self._conflict(model, str(error)) from None
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

    def _give(self, model: Model, moved: Bundle, *, instead_of: str) -> ModelStatus:
        """Store a bundle and assign it to the model; return the next status."""
        hosted = model.status is ModelStatus.HOSTED
        status = ModelStatus.SYSTEM_UPDATING if hosted else model.status
        message = MOVING if hosted else model.status_message
        name = f"{model.id}-{self._new_name()}"
        self._bundles.add(name, moved, kms_key_id=model.kms_key_id)
        try:
            with self._database.writing() as rows:
                replaced = rows.models.replace_bundle(
                    model, bundle=name, status=status, status_message=message
                )
            if not replaced:
                model = self._model(model.project, str(model.version))
                raise self._conflict(model, "it was changed meanwhile. Try again")
        except BaseException:
            self._bundles.remove(name)
            raise
        self._bundles.remove(instead_of)
        self._wake()
        return status

    def _info(self, project: str, version: str) -> BundleInfo:
        try:
            return use_current(lambda: self._bundle_name(project, version), self._bundles.info)
        except (BundleError, EncryptionError) as error:
            raise self._conflict(self._model(project, version), str(error)) from None

    def _bundle_name(self, project: str, version: str) -> str:
        model = self._model(project, version)
        if model.bundle is None:
            raise self._conflict(model, "it has a threshold when it is trained")
        return model.bundle

    def _model(self, project: str, version: str) -> Model:
        with self._database.reading() as rows:
            return require_model(rows, project, version)

    def _conflict(self, model: Model, reason: str) -> ConflictError:
        arn = self._arns.model(model.project, model.version)
        return ConflictError(
            f"Model {arn} is {model.status}: {reason.removesuffix('.')}.",
            resource_type=ResourceType.MODEL,
            resource_id=arn,
        )
