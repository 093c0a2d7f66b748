"""Metrics of verdicts, scores, masks and maps. A metric that cannot be measured is None, never NaN.

Everywhere, a score at or above the threshold calls for the verdict "anomaly", and `truth` is True
where there is an anomaly. numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    """Return how far two (H, W) masks agree; None where both are empty.

    Source: Jaccard, "The Distribution of the Flora in the Alpine Zone", 1912.
    """
    return _share(int((truth_mask & mask).sum()), int((truth_mask | mask).sum()))


def aupro(
    truth_masks: Sequence[Booleans], anomaly_maps: Sequence[Scores], *, fpr_limit: float = 0.3
) -> float | None:
    """Return the area under the per-region overlap, so that small defects count as much as large.

    The per-region overlap is the mean, over all connected regions of all images, of the share of
    the region that lies above a threshold. Its area is taken over the share of normal pixels above
    the threshold from 0 to `fpr_limit`, and divided by `fpr_limit`. Regions touch by corners too.

    Args:
        truth_masks: (H, W) of each image; the images may differ in size.
        anomaly_maps: (H, W) of each image.
        fpr_limit: (0, 1].

    Returns:
        0 to 1; None where there is no anomalous or no normal pixel.

    Source: Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 129, 2021, section 5.2.
    """
    truth = np.concatenate([mask.ravel() for mask in truth_masks])
    if truth.all() or not truth.any():
        return None
    weights, regions = _region_weights(truth_masks)
    scores = np.concatenate([anomaly_map.ravel() for anomaly_map in anomaly_maps])
    order = np.argsort(-scores, kind="stable")
    last = _last_of_levels(scores[order])
    overlap = np.append(0.0, np.cumsum(weights[order])[last] / regions)
    false_alarms = np.append(0.0, np.cumsum(~truth[order])[last] / (~truth).sum())
    end = int(np.searchsorted(false_alarms, fpr_limit))  # the first point at the limit or beyond
    cut = (fpr_limit - false_alarms[end - 1]) / (false_alarms[end] - false_alarms[end - 1])
    false_alarms[end] = fpr_limit
    overlap[end] = overlap[end - 1] + cut * (overlap[end] - overlap[end - 1])
    return float(np.trapezoid(overlap[: end + 1], false_alarms[: end + 1]) / fpr_limit)


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


def _region_weights(masks: Sequence[Booleans]) -> tuple[NDArray[np.float64], int]:
    """Return for every pixel of all masks 1 / the size of its region, and how many regions."""
    from scipy import ndimage  # noqa: PLC0415 - slow to load, and nothing else here needs it

    weights: list[NDArray[np.float64]] = []
    regions = 0
    for mask in masks:
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        sizes = np.bincount(labels.ravel()).astype(np.float64)
        share = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        share[0] = 0.0  # the normal pixels
        weights.append(share[labels.ravel()])
        regions += count
    return np.concatenate(weights), regions
