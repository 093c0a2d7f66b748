"""Fusion: several scores of an image become one.

Each score is standardised on normal images that its scorer did not see, so that scores can be
added. The image score is 1 for the average normal image, and `UNIT` more for every standard
deviation: it is positive like a distance, and means the same for every model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.engine.scorers.scorer import ScoreKey

UNIT = 0.1

_PRIOR_IMAGES, _PRIOR_DEVIATION = 3, 0.1
"""A deviation over few normal images is estimated as if three more images had shown the usual
deviation, a tenth of the mean."""


@dataclass(frozen=True, kw_only=True)
class Standard:
    """Mean and deviation of a score over normal images."""

    mean: float
    deviation: float


def standard(scores: NDArray[np.float64]) -> Standard:
    """Measure scores (n,) of normal images, one or more."""
    n, mean = len(scores), float(scores.mean())
    prior = (_PRIOR_DEVIATION * mean) ** 2
    squares = float(np.square(scores - mean).sum()) + _PRIOR_IMAGES * prior
    deviation = (squares / (max(n - 1, 0) + _PRIOR_IMAGES)) ** 0.5
    return Standard(mean=mean, deviation=max(deviation, 1e-6 * abs(mean), 1e-12))


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """The image score is `base` plus each score times its weight."""

    base: float
    weights: Mapping[ScoreKey, float]

    def fuse(self, scores: Mapping[ScoreKey, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the fused scores (n,), given (n,) of each key."""
        parts = [weight * scores[key] for key, weight in self.weights.items()]
        fused: NDArray[np.float64] = np.sum(parts, axis=0) + self.base
        return fused


def fusion(
    shares: Mapping[ScoreKey, float], standards: Mapping[ScoreKey, Standard], *, total: float
) -> Fusion:
    """Return the fusion that adds standardised scores.

    Args:
        shares: the weight of each standardised score.
        standards: of each of these scores.
        total: the divisor of all shares.
    """
    weights = {
        key: UNIT * share / (total * standards[key].deviation) for key, share in shares.items()
    }
    base = 1 - sum(weight * standards[key].mean for key, weight in weights.items())
    return Fusion(base=base, weights=weights)
