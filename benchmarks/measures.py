"""What `benchmarks.quality` measures beyond the engine's own metrics. None: not measurable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.special import stdtrit

from benchmarks.aupro import aupro
from blemish.engine.metrics import roc_auc

LONG_SIDE = 256
"""Anomaly maps are compared with masks at this many pixels at most."""

CALIBRATION_IMAGES = 200
"""Of fewer images the calibration error says more about their number than about Confidence."""

BINS = 10

TEST_PER_TRAINING = 1.0
"""Images of a test half for one of its training half."""

Booleans = NDArray[np.bool_]
Floats = NDArray[np.floating[Any]]


class Interval(NamedTuple):
    """A mean and the half of its 95 % interval; None where there is one value alone."""

    mean: float
    half: float | None


def interval(values: Sequence[float]) -> Interval:
    """Return the mean of values, of paired differences above all, and its interval.

    Args:
        values: one for each random split of the same images into halves.

    The interval is for other images of the same kind. Splits share their images, so that the
    variance of the mean is 1/J + `TEST_PER_TRAINING` of that among J splits; Student's 1/J holds
    for these images alone, and covered the true difference in 69 of 100 cases.

    Source: Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return Interval(mean, None)
    error = float(np.std(values, ddof=1)) * (1 / len(values) + TEST_PER_TRAINING) ** 0.5
    return Interval(mean, float(stdtrit(len(values) - 1, 0.975)) * error)


def brier_score(truth: Booleans, probability: Floats) -> float | None:
    """Return the mean square of the error of the probability that an image has an anomaly.

    Source: Brier, "Verification of Forecasts Expressed in Terms of Probability", 1950.
    """
    return float(np.mean((probability - truth) ** 2)) if len(truth) else None


def log_loss(truth: Booleans, probability: Floats) -> float | None:
    """Return the mean of -log of the probability of what is true, each at least 1e-6."""
    if not len(truth):
        return None
    of_truth = np.where(truth, probability, 1 - probability)
    return float(-np.log(np.clip(of_truth, 1e-6, 1)).mean())


def calibration_error(right: Booleans, confidence: Floats) -> float | None:
    """Return how far Confidence is from the share of right verdicts, over ten equal bins of it.

    None up to `CALIBRATION_IMAGES` images.

    Source: Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015.
    """
    if len(right) <= CALIBRATION_IMAGES:
        return None
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    errors = np.bincount(bins, confidence, BINS) - np.bincount(bins, right, BINS)
    return float(np.abs(errors).sum() / len(right))


def compared_size(stored: tuple[int, int]) -> tuple[int, int]:
    """Return the (width, height) at which maps and masks of an image are compared."""
    share = min(1.0, LONG_SIDE / max(stored))
    return max(1, round(stored[0] * share)), max(1, round(stored[1] * share))


def compared_mask(mask: Booleans, stored: tuple[int, int]) -> Booleans:
    """Return an (H, W) mask at the compared size: where half of a pixel's area has the anomaly."""
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.resize(compared_size(stored), Image.Resampling.BOX)) >= 128


def compared_map(anomaly_map: Floats, stored: tuple[int, int]) -> NDArray[np.float32]:
    """Return an anomaly map at the compared size."""
    image = Image.fromarray(anomaly_map.astype(np.float32))
    return np.asarray(image.resize(compared_size(stored), Image.Resampling.BILINEAR))


def pixel_measures(masks: Sequence[Booleans], maps: Sequence[Floats]) -> dict[str, float | None]:
    """Return the pixel AUROC and AUPRO of images whose every anomaly is in a mask."""
    if not any(mask.any() for mask in masks):
        return dict.fromkeys(("pixel_auroc", "aupro_30", "aupro_05"))
    truth, scores = (np.concatenate([each.ravel() for each in its]) for its in (masks, maps))
    return {
        "pixel_auroc": roc_auc(truth, scores),
        "aupro_30": aupro(masks, maps, fpr_limit=0.3),
        "aupro_05": aupro(masks, maps, fpr_limit=0.05),
    }
