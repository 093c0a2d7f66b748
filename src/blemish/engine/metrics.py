"""Metrics of verdicts, scores, masks and maps. A metric that cannot be measured is None, never NaN.

Everywhere, a score at or above the threshold calls for the verdict "anomaly", and `truth` is True
where there is an anomaly. numpy alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Booleans = NDArray[np.bool_]
Scores = NDArray[np.floating[Any]]


class PrecisionRecallF1(NamedTuple):
    """Shares from 0 to 1, with the anomalies as the positive class."""

    precision: float | None  # None: nothing was called an anomaly
    recall: float | None  # None: there is no anomaly
    f1: float | None  # None: neither


def precision_recall_f1(truth: Booleans, verdicts: Booleans) -> PrecisionRecallF1:
    """Compare verdicts with the truth, of images or of pixels.

    Args:
        truth: of any shape; True is an anomaly.
        verdicts: of the same shape.

    Source: van Rijsbergen, "Information Retrieval", 1979, chapter 7; F1 = 2 TP / (2 TP + FP + FN).
    """
    hits = int((truth & verdicts).sum())
    called, anomalies = int(verdicts.sum()), int(truth.sum())
    return PrecisionRecallF1(
        precision=_share(hits, called),
        recall=_share(hits, anomalies),
        f1=_share(2 * hits, called + anomalies),
    )


def roc_auc(truth: Booleans, scores: Scores) -> float | None:
    """Return the probability that an anomaly scores above a normal one; a tie counts half.

    Of images or of pixels, for image and pixel AUROC. None where either kind is missing.

    Args:
        truth: of any shape.
        scores: of the same shape.

    Source: Hanley and McNeil, "The Meaning and Use of the Area under a Receiver Operating
        Characteristic (ROC) Curve", Radiology 143, 1982.
    """
    normal, anomalous = np.sort(scores[~truth]), scores[truth]
    below = np.searchsorted(normal, anomalous, side="left").sum()
    not_above = np.searchsorted(normal, anomalous, side="right").sum()
    return _share(int(below + not_above), 2 * len(normal) * len(anomalous))


def average_precision(truth: Booleans, scores: Scores) -> float | None:
    """Return the mean of the precision over the recall, without interpolation.

    None where there is no anomaly.

    Args:
        truth: of any shape.
        scores: of the same shape.

    Source: Manning, Raghavan and Schuetze, "Introduction to Information Retrieval", 2008, section
        8.4; at tied scores the curve has one point, as in scikit-learn.
    """
    _, hits, called = _counts_by_threshold(truth, scores)
    if not truth.any():
        return None
    recall_steps = np.diff(hits, prepend=0) / hits[-1]
    return float((recall_steps * hits / called).sum())


def best_f1_threshold(truth: Booleans, scores: Scores) -> float:
    """Return the threshold at which the verdicts have the best F1.

    It lies in the middle of the gap between the lowest score that is called an anomaly and the
    next lower one; of several best gaps it is in the widest. Where it is best to call everything
    an anomaly, it is the lowest score.

    Args:
        truth: (n,), with an anomaly among them.
        scores: (n,), finite.

    Raises:
        ValueError: there is no anomaly.
    """
    if not truth.any():
        raise ValueError("A threshold for the best F1 needs an anomaly; there is none.")
    levels, hits, called = _counts_by_threshold(truth, scores)
    f1 = 2 * hits / (called + hits[-1])
    gaps = np.append(levels[:-1] - levels[1:], 0.0)
    best = int(np.where(f1 == f1.max(), gaps, -1.0).argmax())
    middle = float(levels[best] - gaps[best] / 2)
    between = best + 1 < len(levels) and middle > levels[best + 1]
    return middle if between else float(levels[best])  # neighbouring floats have no middle


def intersection_over_union(truth_mask: Booleans, mask: Booleans) -> float | None:
    """Return the IoU of two (H, W) masks; None where both are empty.

    Source: Jaccard, "The Distribution of the Flora in the Alpine Zone", 1912.
    """
    return _share(int((truth_mask & mask).sum()), int((truth_mask | mask).sum()))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _counts_by_threshold(
    truth: Booleans, scores: Scores
) -> tuple[Scores, NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct scores from high to low, and the anomalies and images called at each."""
    order = np.argsort(-scores, axis=None, kind="stable")
    levels = scores.ravel()[order]
    last = _last_of_levels(levels)
    hits = np.cumsum(truth.ravel()[order], dtype=np.int64)
    return levels[last], hits[last], last + 1


def _last_of_levels(sorted_scores: Scores) -> NDArray[np.int64]:
    """Return the index of the last of each run of equal scores."""
    return np.flatnonzero(np.append(sorted_scores[1:] != sorted_scores[:-1], True))
