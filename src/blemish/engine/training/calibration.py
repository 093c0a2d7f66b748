"""Calibration: threshold and confidence from the scores of held-out images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.engine.metrics import best_f1_threshold

MIN_ANOMALIES = 10
"""With so many labelled anomalies or more, they decide the threshold and the confidence."""

FALSE_ALARM_RATE = 0.05
"""Share of normal images that may be called anomalous where too few anomalies are labelled."""

MOST_FALSE_ALARMS = 0.1
"""The largest share of held-out normal images above a threshold that one to nine labelled anomalies
decide. Where they score like normal images, the best F1 calls nearly everything anomalous: with 6
anomalies beside 10 normal castings it gave 80 % of false alarms."""

MARGIN = 1.05
"""Where the normal images are too few for the rate: the largest held-out score times this. With 12
normal images of seven products, drawn twice, it gave false alarms of 0 to 21 %, on average 5 %, and
found 62 % of the anomalies; without a margin 9 and 67 %, with 1.1 3 and 58 %."""


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


def calibrate(scores: NDArray[np.float64], anomalous: NDArray[np.bool_]) -> Calibration:
    """Fit threshold and confidence.

    Args:
        scores: (n,) image scores, by detectors not fitted to the image.
        anomalous: (n,) whether the image is labelled as an anomaly; at least one is not.
    """
    normal, count = scores[~anomalous], int(anomalous.sum())
    if count >= MIN_ANOMALIES:
        slope, midpoint = platt_scaling(scores, anomalous)
        threshold = best_f1_threshold(anomalous, scores)
        return Calibration(threshold=threshold, slope=slope, midpoint=midpoint, notes=())
    threshold, notes = normal_limit(normal)
    if count:
        best = max(best_f1_threshold(anomalous, scores), _least_threshold(normal))
        if best < threshold:
            threshold, notes = best, (_few_note(count, normal, best),)
    spread = max(float(normal.std()), 1e-3 * threshold, 1e-6)
    return Calibration(threshold=threshold, slope=2 / spread, midpoint=threshold, notes=notes)


def normal_limit(scores: NDArray[np.float64]) -> tuple[float, tuple[str, ...]]:
    """Return a threshold from held-out scores (n,) of normal images alone, and notes about it.

    It is the smallest of the scores that keeps the promise that one more normal image lies above
    it with a probability of at most `FALSE_ALARM_RATE`: the one of rank ceil((n + 1)(1 - rate)).

    Source: Vovk et al., "Algorithmic Learning in a Random World", 2005, section 2.2 (conformal
    prediction); with n < 1 / rate - 1 no score has that rank.
    """
    n = len(scores)
    rank = math.ceil((n + 1) * (1 - FALSE_ALARM_RATE) - 1e-9)
    if rank <= n:
        return _above(np.sort(scores)[rank - 1]), ()
    needed = math.ceil(1 / FALSE_ALARM_RATE - 1e-9) - 1
    note = (
        f"With {n} normal images no rate of false alarms can be promised ({needed} are needed for "
        f"{FALSE_ALARM_RATE:.0%}); the threshold is {MARGIN} times the largest score of a normal "
        "image that was held out."
    )
    return MARGIN * float(scores.max()), (note,)


def _least_threshold(scores: NDArray[np.float64]) -> float:
    """Return the least threshold with at most `MOST_FALSE_ALARMS` of normal scores (n,)."""
    highest = np.sort(scores)[::-1]
    return _above(highest[int(MOST_FALSE_ALARMS * len(scores) + 1e-9)])


def _above(score: float) -> float:
    """Return the next number after a score, as the graph compares."""
    return float(np.nextafter(np.float32(score), np.float32(np.inf)))


def _few_note(count: int, normal: NDArray[np.float64], threshold: float) -> str:
    return (
        f"The threshold tells the {count} labelled anomalies best from normal images, and promises "
        f"no rate of false alarms: {(normal >= threshold).sum()} of {len(normal)} normal images "
        "that were held out lie above it."
    )


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
