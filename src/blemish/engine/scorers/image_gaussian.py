"""The image Gaussian: how the pooled embeddings of normal images vary.

An image scores by its Mahalanobis distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.scorers.moments import principal_directions
from blemish.engine.scorers.scorer import FittingData, Role, Scorer

IMAGE_SHRINKAGE = 0.03
MAX_DIRECTIONS = 128

MIN_IMAGES = 4
"""Different normal images from which on an average includes this scorer: with fewer, a fit without
two folds sees a single image, which shows nothing of how images vary."""


@dataclass(frozen=True, kw_only=True)
class ImageGaussian:
    """A Gaussian of pooled embeddings: mean and deviation over an image's patches."""

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

    def add_image_score(self, graph: GraphWriter, pooled: str) -> str:
        """Write `image_scores` of one image."""
        offsets = graph.add("Sub", pooled, graph.constant(self.center))
        inside = graph.add("MatMul", offsets, graph.constant(self.directions))
        squares = graph.add("Mul", inside, inside)
        weighted = graph.add("Div", squares, graph.constant(self.variances))
        whole = graph.add("ReduceSumSquare", offsets, keepdims=0)
        outside = graph.add("Relu", graph.add("Sub", whole, graph.add_sum(squares)))
        rest = graph.add("Div", outside, graph.scalar(self.rest))
        return graph.add("Sqrt", graph.add("Add", graph.add_sum(weighted), rest))


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
        variances, sides = principal_directions(offsets @ offsets.T / len(pooled))
        lengths = np.sqrt(np.maximum(variances[:rank] * len(pooled), 1e-12 * scale))
        directions = offsets.T @ sides[:, :rank] / lengths
    else:
        variances, directions = principal_directions(offsets.T @ offsets / len(pooled))
        directions = directions[:, :rank]
    shown = max(1, min(len(pooled) - 1, pooled.shape[1]))
    rest = IMAGE_SHRINKAGE * float(variances.sum()) / shown + 1e-6 * scale
    return ImageGaussian(
        center=center.astype(np.float32),
        directions=directions.astype(np.float32),
        variances=(variances[:rank] + rest).astype(np.float32),
        rest=rest,
    )


def _fit(data: FittingData) -> ImageGaussian:
    return fit_image_gaussian(np.stack(data.pooled[Label.NORMAL]))


IMAGE_GAUSSIAN = Scorer(
    name="image",
    role=Role.SECONDARY,
    scores_patches=False,
    fit=_fit,
    min_normal_images=MIN_IMAGES,
)
