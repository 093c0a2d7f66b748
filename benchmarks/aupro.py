"""The area under the per-region overlap, the field's measure of anomaly maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Booleans = NDArray[np.bool_]
Scores = NDArray[np.floating[Any]]


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


def _region_weights(masks: Sequence[Booleans]) -> tuple[NDArray[np.float64], int]:
    """Return for every pixel of all masks 1 / the size of its region, and how many regions."""
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


def _last_of_levels(sorted_scores: Scores) -> NDArray[np.int64]:
    """Return the index of the last of each run of equal scores."""
    return np.flatnonzero(np.append(sorted_scores[1:] != sorted_scores[:-1], True))
