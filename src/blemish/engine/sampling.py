"""Random samples of patches, the same number from each image, so that memory stays bounded."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MAX_PATCHES = 20_000
"""Size of a sample, about: a coreset of 2,000 rows from so many takes an eighth of a second."""


def patch_quota(images: int) -> int:
    """Return how many patches each of so many images gives to a sample."""
    return math.ceil(MAX_PATCHES / images)


def sample_rows(
    rows: NDArray[np.float32], count: int, *, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Choose at most `count` rows at random, in their order."""
    if len(rows) <= count:
        return rows
    return rows[np.sort(generator.choice(len(rows), count, replace=False))]
