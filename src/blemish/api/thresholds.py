"""The operations about the threshold of a model, which are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blemish.api.members import Members
from blemish.service.models.thresholds import ThresholdService

if TYPE_CHECKING:
    from blemish.engine.thresholds import ThresholdEffect

NOT_MEASURED = (
    "An older version of Blemish trained this model and did not keep the scores of the test "
    "images. Train it again to see what a threshold does to them."
)


class ThresholdOperations:
    """Handlers of the operations about thresholds."""

    def __init__(self, *, thresholds: ThresholdService) -> None:
        self._thresholds = thresholds

    def describe_model_threshold(
        self, *, project_name: str, model_version: str, thresholds: list[float] | None = None
    ) -> Members:
        thresholds_of_model = self._thresholds.describe(
            project_name, model_version, thresholds=thresholds
        )
        measured = thresholds_of_model.current is not None
        return {
            "Threshold": thresholds_of_model.threshold,
            "TrainedThreshold": thresholds_of_model.trained_threshold,
            "CurrentEffect": thresholds_of_model.current and _effect(thresholds_of_model.current),
            "TrainedEffect": thresholds_of_model.trained and _effect(thresholds_of_model.trained),
            "Effects": [_effect(effect) for effect in thresholds_of_model.effects]
            if measured
            else None,
            "StatusMessage": None if measured else NOT_MEASURED,
        }

    def update_model_threshold(
        self, *, project_name: str, model_version: str, threshold: float | None = None
    ) -> Members:
        moved = self._thresholds.move(project_name, model_version, threshold=threshold)
        return {
            "Status": moved.status,
            "Threshold": moved.threshold,
            "TrainedThreshold": moved.trained_threshold,
        }


def _effect(effect: ThresholdEffect) -> Members:
    return {
        "Threshold": effect.threshold,
        "Precision": effect.metrics.precision,
        "Recall": effect.metrics.recall,
        "F1Score": effect.metrics.f1,
        "TruePositives": effect.true_positives,
        "FalsePositives": effect.false_positives,
        "TrueNegatives": effect.true_negatives,
        "FalseNegatives": effect.false_negatives,
    }
