"""Calibration: threshold and confidence from the scores of held-out images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.engine.metrics import best_f1_threshold

MIN_ANOMALIES = 10
"""Labelled anomalies from which on they determine the threshold and the confidence."""

FALSE_ALARM_RATE = 0.05
"""Share of normal images that may be called anomalous if too few anomalies are labelled."""

PRIOR_DEVIATION = 0.1
"""Of normal scores: the unit that scores are fused to (`fusion.UNIT`)."""

BOUND_ERRORS = 2.2

OUTLIER_DEVIATIONS, MIN_ROBUST_DEVIATION = 3.0, 0.05
"""Scores that lie farther above the median are clipped, so that one odd image among the normal ones
does not move the threshold. The deviation is that of the median, at least this."""


@dataclass(frozen=True, kw_only=True)
class NormalTail:
    """How far the scores of new normal images lie above those of held-out ones."""

    #: the deviation is estimated as if so many more images had `PRIOR_DEVIATION`
    prior_images: int
    #: of the quantiles of Student's distribution with four degrees of freedom
    factor: float


AVERAGE_TAIL = NormalTail(prior_images=24, factor=0.9)
"""Of an average of scorers, which agree more on some images than on others."""

BANK_TAIL = NormalTail(prior_images=80, factor=1.07)
"""Of a memory bank alone: its scores of new images vary more. Fusion has given them the unit, so
that measuring their deviation once more adds little but chance (docs/notes/thresholds.md)."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The threshold, and the confidence in a verdict.

    The probability of an anomaly is `1 / (1 + exp(-slope * (score - midpoint)))`.
    """

    threshold: float
    slope: float
    midpoint: float
    #: sentences for people about the limits of the data
    notes: tuple[str, ...]
    #: how much higher the threshold is for scores of held-out images
    gain: float = 0.0

    def confidence(self, score: float, *, is_anomalous: bool) -> float:
        """Return the probability of a verdict, as the graph computes it."""
        probability = 1 / (1 + math.exp(-np.clip(self.slope * (score - self.midpoint), -700, 700)))
        return probability if is_anomalous else 1 - probability


def calibrate(
    scores: NDArray[np.float64],
    anomalous: NDArray[np.bool_],
    *,
    gain: float = 0.0,
    rate: float = FALSE_ALARM_RATE,
    bank_alone: bool = False,
) -> Calibration:
    """Fit threshold and confidence.

    Args:
        scores: (n,) image scores, by detectors not fitted to the image.
        anomalous: (n,) whether the image is labelled as an anomaly; at least one is not.
        gain: how much lower normal images score by the detector that is fitted to all of them.
        rate: share of normal images that may be called anomalous; used below `MIN_ANOMALIES`.
        bank_alone: whether the scores are those of a memory bank alone.
    """
    rule = threshold_rule(anomalous, rate=rate, bank_alone=bank_alone)
    threshold = rule(scores, anomalous)
    if anomalous.sum() >= MIN_ANOMALIES:
        slope, midpoint = platt_scaling(scores, anomalous)
        notes = () if rate == FALSE_ALARM_RATE else (_unused_note(int(anomalous.sum())),)
        return Calibration(threshold=threshold, slope=slope, midpoint=midpoint, notes=notes)
    normal = scores[~anomalous]
    _, deviation = _normal_scores(normal, _tail(bank_alone=bank_alone))
    threshold -= gain
    return Calibration(
        threshold=threshold,
        slope=1 / deviation,
        midpoint=threshold,
        notes=(_rate_note(len(normal), rate=rate),),
        gain=gain,
    )


ThresholdRule = Callable[[NDArray[np.float64], NDArray[np.bool_]], float]
"""Returns a threshold for scores (n,) by detectors that have not seen the images, of which some are
anomalous (n,)."""


def threshold_rule(anomalous: NDArray[np.bool_], *, rate: float, bank_alone: bool) -> ThresholdRule:
    """Return how the threshold of a detector follows from scores; arguments as in `calibrate`."""
    if anomalous.sum() >= MIN_ANOMALIES:
        return lambda scores, labels: best_f1_threshold(labels, scores)
    tail = _tail(bank_alone=bank_alone)
    return lambda scores, labels: normal_threshold(scores[~labels], rate=rate, tail=tail)


def _tail(*, bank_alone: bool) -> NormalTail:
    return BANK_TAIL if bank_alone else AVERAGE_TAIL


def normal_threshold(
    scores: NDArray[np.float64], *, rate: float, tail: NormalTail = AVERAGE_TAIL
) -> float:
    """Return the score that a further normal image exceeds with a probability of about `rate`.

    New images vary a little more than held-out ones, and a few images show little of the tail: a
    factor of the quantiles of Student's distribution with four degrees of freedom, in deviations,
    gave rates of 1.4, 4.7 and 9.7 % for a `rate` of 1, 5 and 10 % with averages of scorers, and of
    1.5, 4.9 and 9.4 % with a memory bank alone (docs/notes/thresholds.md).

    Args:
        scores: (n,) of normal images, each by a detector that did not see the image.
        rate: between 0 and 1.
        tail: of the scores.
    """
    mean, deviation = _normal_scores(scores, tail)
    spread = deviation * math.sqrt(1 + 1 / len(scores))
    return mean + tail.factor * student_quantile(1 - rate) * spread


def _normal_scores(scores: NDArray[np.float64], tail: NormalTail) -> tuple[float, float]:
    """Return mean and deviation of the scores (n,) of normal images, without their outliers."""
    median = float(np.median(scores))
    robust = 1.4826 * float(np.median(np.abs(scores - median)))
    limit = median + OUTLIER_DEVIATIONS * max(robust, MIN_ROBUST_DEVIATION)
    inside = np.minimum(scores, limit)
    mean = float(inside.mean())
    squares = float(np.square(inside - mean).sum()) + tail.prior_images * PRIOR_DEVIATION**2
    return mean, math.sqrt(squares / (len(scores) - 1 + tail.prior_images))


def student_quantile(probability: float) -> float:
    """Return the quantile of Student's distribution with four degrees of freedom.

    Source: Shaw, "Sampling Student's T distribution", Journal of Computational Finance 9, 2006.
    """
    root = math.sqrt(4 * probability * (1 - probability))
    shape = math.cos(math.acos(root) / 3) / root
    return math.copysign(2 * math.sqrt(max(shape - 1, 0)), probability - 0.5)


def student_probability(value: float) -> float:
    """Return the probability that Student's distribution with four degrees of freedom is below."""
    square = value * value / 4
    term = value / math.sqrt(1 + square)
    return 0.5 + 3 / 8 * term * (1 - square / (3 * (1 + square)))


def rate_bound(images: int, *, rate: float) -> float:
    """Return the rate of false alarms that nine of ten trainings stay below.

    Mean and deviation of normal scores are estimates: the standard error of the threshold, in
    deviations, follows from the number of images. `BOUND_ERRORS` of it covered nine of ten
    trainings on real images (docs/notes/thresholds.md), with an average of scorers or a memory
    bank.
    """
    quantile = student_quantile(1 - rate)
    error = math.sqrt(1 / images + quantile**2 / (2 * (images + AVERAGE_TAIL.prior_images)))
    return 1 - student_probability(quantile - BOUND_ERRORS * error)


def _rate_note(images: int, *, rate: float) -> str:
    bound = rate_bound(images, rate=rate)
    note = (
        f"The threshold is set for {rate:.0%} false alarms, estimated from {images} normal images; "
        f"in nine of ten cases they stay below {bound:.0%}."
    )
    if rate * images >= 1 or rate >= FALSE_ALARM_RATE:
        return note
    return f"{note} So few images show no rate of {rate:.0%}: it follows from how much they vary."


def _unused_note(anomalies: int) -> str:
    return f"The sensitivity is not used: {anomalies} labelled anomalies set the threshold."


def platt_scaling(scores: NDArray[np.float64], anomalous: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit the probability of an anomaly as a logistic of the score, by Newton's method.

    The targets are a little inside of 0 and 1, as if each label had one more image of the other:
    with few images, or scores that separate the labels, the slope stays finite. It is never
    negative: where anomalies score below normal images the probability is the same everywhere.

    Returns:
        slope and midpoint, as in `Calibration`.

    Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999, section 2.2.
    """
    positives, negatives = int(anomalous.sum()), int((~anomalous).sum())
    targets = np.where(anomalous, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    mean, deviation = float(scores.mean()), max(float(scores.std()), 1e-12)
    features = np.stack([(scores - mean) / deviation, np.ones(len(scores))], axis=1)

    weights = np.zeros(2)
    loss = _cross_entropy(features @ weights, targets)
    for _ in range(100):
        probability = 1 / (1 + np.exp(-(features @ weights)))
        gradient = features.T @ (probability - targets)
        curvature = probability * (1 - probability)
        hessian = (features * curvature[:, np.newaxis]).T @ features + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        while (new_loss := _cross_entropy(features @ (weights - step), targets)) > loss:
            step /= 2
            if np.abs(step).max() < 1e-9:
                break
        weights, improved, loss = weights - step, loss - new_loss, new_loss
        if improved < 1e-12:
            break

    slope = max(float(weights[0]), 1e-6)
    return slope / deviation, mean - deviation * float(weights[1]) / slope


def _cross_entropy(logits: NDArray[np.float64], targets: NDArray[np.float64]) -> float:
    return float((np.logaddexp(0, logits) - targets * logits).sum())
