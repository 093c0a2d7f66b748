"""The results of a model on its test images at the threshold in force.

The evaluation files have the verdicts of the trained threshold, with a confidence that grows with
the score. The bundle has the scores of all test images, without their names. Of one label, the
image of the highest confidence has the highest score, and so on: that pairs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from blemish.console.language.messages import later
from blemish.console.models.evaluation import EvaluatedImage
from blemish.console.models.rates import Rate
from blemish.domain.entities import Label
from blemish.engine.bundle import BundleInfo
from blemish.engine.thresholds import ThresholdEffect, threshold_effect

UNPAIRED = later(
    "The evaluation files do not fit the scores of the model, so the verdicts at "
    "the threshold in force are not known."
)
"""Why the test images are not shown."""


@dataclass(frozen=True, kw_only=True)
class ThresholdResults:
    """Rates of the test images at one threshold."""

    threshold: float
    #: anomalies that the model finds
    recall: Rate
    #: alarms that are right
    precision: Rate
    #: normal images that raise an alarm
    false_alarms: Rate
    f1: float | None


def results_at(info: BundleInfo, threshold: float) -> ThresholdResults | None:
    """Return the results at a threshold; None if the bundle does not have the scores."""
    if info.test_scores is None:
        return None
    return _results_of(threshold_effect(info.test_scores, threshold))


def images_in_force(
    images: Sequence[EvaluatedImage], info: BundleInfo | None
) -> Sequence[EvaluatedImage] | None:
    """Return test images with the verdicts of the threshold in force.

    Args:
        images: with the verdicts of the trained threshold.
        info: of the model's bundle, if the visitor may read it.

    Returns:
        None if the images cannot be paired with the scores.
    """
    if info is None or info.moved_from is None or not images:
        return images
    if info.test_scores is None:
        return None
    scores = {Label.NORMAL: info.test_scores.normal, Label.ANOMALY: info.test_scores.anomaly}
    by_label = {label: [image for image in images if image.truth is label] for label in Label}
    if any(len(by_label[label]) != len(scores[label]) for label in Label):
        return None
    changed = {
        image.ref: image
        for label in Label
        for image in _at(info.threshold, by_label[label], scores[label])
    }
    return [changed[image.ref] for image in images]


def _at(
    threshold: float, images: Sequence[EvaluatedImage], scores: Sequence[float]
) -> Iterator[EvaluatedImage]:
    """Yield images of one label with their verdicts at a threshold, as the graph compares."""
    limit = np.float32(threshold)
    ranked = sorted(images, key=lambda image: image.anomalous)
    for image, score in zip(ranked, sorted(scores), strict=True):
        verdict = Label.ANOMALY if np.float32(score) >= limit else Label.NORMAL
        confidence = image.anomalous if verdict is Label.ANOMALY else 1 - image.anomalous
        yield replace(image, verdict=verdict, confidence=confidence)


def _results_of(effect: ThresholdEffect) -> ThresholdResults:
    detected, missed = effect.true_positives, effect.false_negatives
    alarms, passed = effect.false_positives, effect.true_negatives
    return ThresholdResults(
        threshold=effect.threshold,
        recall=Rate(count=detected, total=detected + missed),
        precision=Rate(count=detected, total=detected + alarms),
        false_alarms=Rate(count=alarms, total=alarms + passed),
        f1=effect.metrics.f1,
    )
