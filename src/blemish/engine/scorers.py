"""Scorers: patch embeddings in, patch scores out; patch scores in, one image score out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.engine.coreset import select_coreset

PROJECTED_WIDTH = 128
"""Embeddings are compared after a random projection to this width. It changes a distance by
`1 / sqrt(2 * width)`, 6 % (one standard deviation), and costs a third of the full width's time."""

BANK_ROWS = 2_000
TOP_SHARE = 0.01
"""The image score is the mean over this share of the patches: steadier than the largest alone."""


def random_projection(width: int, *, seed: int) -> NDArray[np.float32]:
    """Return a Gaussian projection (width, p) that keeps distances on average.

    Source: Johnson and Lindenstrauss, 1984; the Gaussian form by Indyk and Motwani, 1998.
    """
    generator = np.random.default_rng([seed, width])
    shape = (width, PROJECTED_WIDTH)
    projection = generator.standard_normal(shape, dtype=np.float32)
    projection /= PROJECTED_WIDTH**0.5
    return projection


@dataclass(frozen=True, kw_only=True)
class MemoryBank:
    """Projected patch embeddings of normal images, less their mean.

    Distances do not change by the mean; without it they lose fewer digits.
    """

    #: (p,)
    center: NDArray[np.float32]
    #: (m, p)
    rows: NDArray[np.float32]

    def patch_scores(self, projected: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the distance (n,) of each projected embedding (n, p) to the nearest row."""
        queries = projected - self.center
        products = queries @ self.rows.T
        products *= -2
        products += np.einsum("mp,mp->m", self.rows, self.rows)
        squares = products.min(axis=1) + np.einsum("np,np->n", queries, queries)
        distances: NDArray[np.float32] = np.sqrt(np.maximum(squares, 0))
        return distances


def fit_memory_bank(
    candidates: NDArray[np.float32], *, generator: np.random.Generator
) -> MemoryBank:
    """Choose at most `BANK_ROWS` of the projected embeddings (n, p) of normal images."""
    center = candidates.mean(axis=0)
    size = min(BANK_ROWS, len(candidates))
    chosen = select_coreset(candidates, size, generator=generator)
    return MemoryBank(center=center, rows=candidates[chosen] - center)


def image_score(patch_scores: NDArray[np.float32]) -> float:
    """Return the mean of the top `TOP_SHARE` of patch scores (n,)."""
    count = top_count(len(patch_scores))
    return float(np.partition(patch_scores, -count)[-count:].mean())


def top_count(patches: int) -> int:
    """Return how many of so many patches make the image score."""
    return max(1, round(TOP_SHARE * patches))
