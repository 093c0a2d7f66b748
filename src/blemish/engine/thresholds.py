"""Move the threshold of a trained detector, and count the verdicts on the test images.

A bundle has the threshold twice: in bundle.json, and in the graph as the default of the input
`threshold`. Both are moved together.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blemish.engine.bundle import Bundle, MeasuredScores
from blemish.engine.graph.initializers import with_initializer
from blemish.engine.metrics import PrecisionRecallF1, precision_recall_f1

MOST = float(np.finfo(np.float32).max)
"""The highest threshold that a graph can hold."""

MOST_TURNS = 100
"""Thresholds that `turning_points` returns at most."""


@dataclass(frozen=True, kw_only=True)
class ThresholdEffect:
    """The verdicts on the test images at a threshold; an anomaly is a positive."""

    threshold: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    metrics: PrecisionRecallF1


def move_threshold(bundle: Bundle, threshold: float | None) -> Bundle:
    """Return the bundle with another threshold; None is the trained one.

    Args:
        bundle: the bundle, which is not changed.
        threshold: 0 to `MOST`; the graph takes the nearest float32.

    Raises:
        BundleError: its graph has no threshold that can be moved.
    """
    info = bundle.info
    trained = info.trained_threshold
    wanted = trained if threshold is None else float(np.float32(threshold))
    return Bundle(
        info=replace(info, threshold=wanted, moved_from=None if wanted == trained else trained),
        model=with_initializer(bundle.model, "threshold", struct.pack("<f", wanted)),
    )


def threshold_effect(scores: MeasuredScores, threshold: float) -> ThresholdEffect:
    """Count the verdicts on the test images, compared in float32 as in the graph."""
    limit = np.float32(threshold)
    normal, anomaly = _float32(scores.normal) >= limit, _float32(scores.anomaly) >= limit
    truth = np.repeat([False, True], [len(normal), len(anomaly)])
    return ThresholdEffect(
        threshold=threshold,
        true_positives=int(anomaly.sum()),
        false_positives=int(normal.sum()),
        true_negatives=int((~normal).sum()),
        false_negatives=int((~anomaly).sum()),
        metrics=precision_recall_f1(truth, np.concatenate([normal, anomaly])),
    )


def turning_points(scores: MeasuredScores) -> list[float]:
    """Return thresholds between which verdicts differ, ascending: all, or an even sample of them.

    The first calls every test image anomalous, the last none; the others lie in the middle between
    neighbouring scores.
    """
    levels = np.unique(_float32(scores.normal + scores.anomaly))
    if not len(levels):
        return []
    above = np.nextafter(levels[-1], np.float32(np.inf))
    lower, upper = levels[:-1], levels[1:]
    middles = lower + (upper - lower) / 2
    middles = np.where(middles > lower, middles, upper)  # between neighbours there is no float32
    points = np.concatenate([levels[:1], middles, [above]]).astype(np.float32)
    rows = np.linspace(0, len(points) - 1, min(len(points), MOST_TURNS)).round().astype(int)
    return [float(point) for point in points[rows]]


def _float32(values: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)
