"""A scorer that is not part of Blemish: all that adding one takes is such a module."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.engine.graph.writer import GraphWriter
from blemish.engine.scorers.scorer import FittingData, Readout, Role, Scorer


@dataclass(frozen=True, kw_only=True)
class ChannelSum:
    """The sum over channels of a patch, and its mean over normal patches."""

    width: int
    mean: float

    def patch_scores(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how far (n,) the sums of embeddings (n, d) are from the mean."""
        scores: NDArray[np.float32] = np.abs(embeddings.sum(axis=1) - np.float32(self.mean))
        return scores

    def readout(self) -> Readout:
        """Return the sum less the mean."""
        ones = np.ones((self.width, 1), dtype=np.float32)
        return Readout(weights=ones, bias=np.array([-self.mean], dtype=np.float32))

    def add_patch_scores(self, graph: GraphWriter, readout: str) -> str:
        """Write the amount of (1, n)."""
        return graph.add("Reshape", graph.add("Abs", readout), graph.ints(-1))


def _fit(data: FittingData) -> ChannelSum:
    mean = data.moments.mean
    return ChannelSum(width=len(mean), mean=float(mean.sum()))


CHANNEL_SUM = Scorer(name="channel sum", role=Role.SECONDARY, scores_patches=True, fit=_fit)
