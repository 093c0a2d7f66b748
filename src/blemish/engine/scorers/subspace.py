"""The subspace: the directions in which the patch embeddings of normal images vary.

A patch scores by its distance to the subspace.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.engine.graph.writer import GraphWriter
from blemish.engine.scorers.moments import Moments, principal_directions
from blemish.engine.scorers.scorer import FittingData, Readout, Role, Scorer

SUBSPACE_SHARE = 0.99
"""Share of the variance of normal patches that the subspace holds."""


@dataclass(frozen=True, kw_only=True)
class Subspace:
    """A subspace, stored as its orthogonal complement."""

    #: (d,)
    center: NDArray[np.float32]
    #: (d, r) orthonormal, orthogonal to the subspace. A score needs only the coordinates along
    #: these directions; as a difference of two squares it would lose digits, and take longer
    rest: NDArray[np.float32]

    def patch_scores(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the distance (n,) of each embedding (n, d) to the subspace."""
        outside = embeddings @ self.rest - self.center @ self.rest
        distances: NDArray[np.float32] = np.sqrt(np.einsum("nr,nr->n", outside, outside))
        return distances

    def readout(self) -> Readout:
        """Return the coordinates outside of the subspace."""
        return Readout(weights=self.rest, bias=-(self.center @ self.rest))

    def add_patch_scores(self, graph: GraphWriter, readout: str) -> str:
        """Write `patch_scores`, given coordinates (r, n)."""
        squares = graph.add_squared_norms(readout, self.rest.shape[1])
        return graph.add("Sqrt", squares)


def fit_subspace(moments: Moments) -> Subspace:
    """Take the fewest principal components that hold `SUBSPACE_SHARE` of the variance.

    At least one direction stays outside.

    Source: SubspaceAD (arXiv 2602.23013), section 3: the residual of a principal component
    analysis of normal patches.
    """
    variances, directions = principal_directions(moments.covariance)
    shares = np.cumsum(variances) / max(float(variances.sum()), 1e-30)
    size = min(int(np.searchsorted(shares, SUBSPACE_SHARE)) + 1, len(variances) - 1)
    return Subspace(
        center=moments.mean.astype(np.float32), rest=directions[:, size:].astype(np.float32)
    )


def _fit(data: FittingData) -> Subspace:
    return fit_subspace(data.moments)


SUBSPACE = Scorer(name="subspace", role=Role.SECONDARY, scores_patches=True, fit=_fit)
