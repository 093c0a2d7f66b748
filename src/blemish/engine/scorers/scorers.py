"""Scorers: what normal images teach, and how far a new one is from it.

The memory bank and the subspace score patches, and an image's score is the mean of its highest
patch scores; the image Gaussian scores the image as a whole. No one of them wins everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.engine.scorers.coreset import select_coreset
from blemish.engine.scorers.moments import Moments

BANK = "memory bank"
WHITENED = f"{BANK}, whitened"

PROJECTED_WIDTH = 128
"""Embeddings are compared after a random projection to this width. It changes a distance by
`1 / sqrt(2 * width)`, 6 % (one standard deviation), and costs a third of the full width's time."""

BANK_ROWS = 2_000
SUBSPACE_SHARE = 0.99
"""Share of the variance of normal patches that the subspace holds."""

WHITENING_FLOOR = 0.1
IMAGE_SHRINKAGE = 0.03
MAX_DIRECTIONS = 128

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


def bank_projections(
    channels: Mapping[str, slice], *, seed: int, alternatives: bool
) -> dict[str, NDArray[np.float32]]:
    """Return the projections (d, p) of the memory bank and, if asked for, of one for each layer.

    Args:
        channels: layer -> its part of an embedding.
        seed: of the projections.
        alternatives: whether layers are to be tried alone.
    """
    width = max(its.stop for its in channels.values())
    projections = {BANK: random_projection(width, seed=seed)}
    for layer, its in channels.items() if alternatives else ():
        alone = np.zeros((width, PROJECTED_WIDTH), dtype=np.float32)
        alone[its] = random_projection(its.stop - its.start, seed=seed)
        projections[f"{BANK}, {layer} alone"] = alone
    return projections


@dataclass(frozen=True, kw_only=True)
class MemoryBank:
    """Projected patch embeddings of normal images, less their mean.

    Distances do not change by the mean; without it they lose fewer digits.
    """

    #: (d, p)
    projection: NDArray[np.float32]
    #: (p,)
    center: NDArray[np.float32]
    #: (m, p)
    rows: NDArray[np.float32]

    def patch_scores(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the distance (n,) of each embedding (n, d), projected, to the nearest row."""
        queries = embeddings @ self.projection - self.center
        products = queries @ self.rows.T
        products *= -2
        products += np.einsum("mp,mp->m", self.rows, self.rows)
        squares = products.min(axis=1) + np.einsum("np,np->n", queries, queries)
        distances: NDArray[np.float32] = np.sqrt(np.maximum(squares, 0))
        return distances


def fit_memory_bank(
    candidates: NDArray[np.float32],
    projection: NDArray[np.float32],
    *,
    generator: np.random.Generator,
    rows: int = BANK_ROWS,
) -> MemoryBank:
    """Choose embeddings of normal images.

    Args:
        candidates: (n, p) already projected.
        projection: (d, p) by which they were.
        generator: of the coreset.
        rows: that are chosen at most.
    """
    center = candidates.mean(axis=0)
    size = min(rows, len(candidates))
    chosen = select_coreset(candidates, size, generator=generator)
    return MemoryBank(projection=projection, center=center, rows=candidates[chosen] - center)


def whitening_of(candidates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a map (p, p) after which every direction of projected embeddings (n, p) counts alike.

    Directions in which they hardly vary are noise: each gets `WHITENING_FLOOR` of the mean
    variance. Distances keep their scale on the whole.
    """
    variances, directions = _principal_directions(np.cov(candidates.T, dtype=np.float64))
    scales = 1 / np.sqrt(variances + WHITENING_FLOOR * variances.mean() + 1e-30)
    scales /= np.sqrt(np.square(scales).mean())
    whitening: NDArray[np.float32] = (directions * scales).astype(np.float32)
    return whitening


@dataclass(frozen=True, kw_only=True)
class Subspace:
    """The directions in which embeddings of normal images vary, told by those that are left."""

    #: (d,)
    center: NDArray[np.float32]
    #: (d, r) orthonormal: at a right angle to the subspace. What an embedding has along them is all
    #: that a score needs; as the difference of two squares it would lose digits, and take longer
    rest: NDArray[np.float32]

    def patch_scores(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how far (n,) each embedding (n, d) is from the subspace."""
        outside = embeddings @ self.rest - self.center @ self.rest
        distances: NDArray[np.float32] = np.sqrt(np.einsum("nr,nr->n", outside, outside))
        return distances


def fit_subspace(moments: Moments) -> Subspace:
    """Take the fewest principal components that hold `SUBSPACE_SHARE` of the variance.

    One direction is always left.

    Source: SubspaceAD (arXiv 2602.23013), section 3: the residual of a principal component
    analysis of normal patches.
    """
    variances, directions = _principal_directions(moments.covariance)
    shares = np.cumsum(variances) / max(float(variances.sum()), 1e-30)
    size = min(int(np.searchsorted(shares, SUBSPACE_SHARE)) + 1, len(variances) - 1)
    return Subspace(
        center=moments.mean.astype(np.float32), rest=directions[:, size:].astype(np.float32)
    )


@dataclass(frozen=True, kw_only=True)
class ImageGaussian:
    """How pooled embeddings, mean and deviation over an image's patches, vary among images."""

    #: (2d,)
    center: NDArray[np.float32]
    #: (2d, r) orthonormal
    directions: NDArray[np.float32]
    #: (r,) variance in each of the directions
    variances: NDArray[np.float32]
    #: variance in every other direction
    rest: float

    def image_scores(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the Mahalanobis distance (B,) of pooled embeddings (B, 2d)."""
        offsets = pooled - self.center
        inside = offsets @ self.directions
        outside = np.einsum("bd,bd->b", offsets, offsets) - np.einsum("br,br->b", inside, inside)
        squares = (inside**2 / self.variances).sum(axis=1) + np.maximum(outside, 0) / self.rest
        distances: NDArray[np.float32] = np.sqrt(squares)
        return distances


def fit_image_gaussian(pooled: NDArray[np.float32]) -> ImageGaussian:
    """Fit a Gaussian to the pooled embeddings (B, 2d) of normal images, one or more.

    A few images show little of the directions in which normal ones vary, so every direction
    gets `IMAGE_SHRINKAGE` of the mean variance of the directions that they show.
    """
    center = pooled.mean(axis=0, dtype=np.float64)
    offsets = pooled - center
    scale = float(np.square(center).mean()) + 1e-12
    rank = min(MAX_DIRECTIONS, len(pooled) - 1, pooled.shape[1])
    if len(pooled) < pooled.shape[1]:  # the small side's matrix has the same eigenvalues
        variances, sides = _principal_directions(offsets @ offsets.T / len(pooled))
        lengths = np.sqrt(np.maximum(variances[:rank] * len(pooled), 1e-12 * scale))
        directions = offsets.T @ sides[:, :rank] / lengths
    else:
        variances, directions = _principal_directions(offsets.T @ offsets / len(pooled))
        directions = directions[:, :rank]
    shown = max(1, min(len(pooled) - 1, pooled.shape[1]))
    rest = IMAGE_SHRINKAGE * float(variances.sum()) / shown + 1e-6 * scale
    return ImageGaussian(
        center=center.astype(np.float32),
        directions=directions.astype(np.float32),
        variances=(variances[:rank] + rest).astype(np.float32),
        rest=rest,
    )


def pooled_embedding(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return mean and deviation (2d,) of an image's embeddings (n, d), channel by channel."""
    return np.concatenate([embeddings.mean(axis=0), embeddings.std(axis=0)]).astype(np.float32)


def _principal_directions(
    covariance: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return variances and directions (columns), the largest variance first."""
    variances, directions = np.linalg.eigh(covariance)
    return np.maximum(variances[::-1], 0), directions[:, ::-1]


def image_score(patch_scores: NDArray[np.float32]) -> float:
    """Return the mean of the top `TOP_SHARE` of patch scores (n,)."""
    count = top_count(len(patch_scores))
    return float(np.partition(patch_scores, -count)[-count:].mean())


def top_count(patches: int) -> int:
    """Return how many of so many patches make the image score."""
    return max(1, round(TOP_SHARE * patches))
