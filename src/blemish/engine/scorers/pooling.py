"""Pooling over the patches of an image: of embeddings to one vector, of patch scores to one score.

Each exists twice: in numpy, and as nodes of a graph.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from blemish.engine.backbones.embedding import FeatureMaps, add_embeddings
from blemish.engine.graph.regions import GraphRegions
from blemish.engine.graph.writer import GraphWriter

TOP_SHARE = 0.01
"""The image score is the mean over this share of the patches: steadier than the largest alone."""

MOST_PATCHES = 1_024
"""Patches, those of 256 x 256 pixels, from which on their number no longer raises the count: at a
higher resolution a small defect covers no larger share of an image. With 10 instead of 41 of 4,096
patches, the image AUROC of castings was .88 instead of .86 with EfficientNet-Lite0, and .99 instead
of .98 with the scattering."""


def pooled_embedding(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return mean and deviation (2d,) of an image's embeddings (n, d), channel by channel."""
    return np.concatenate([embeddings.mean(axis=0), embeddings.std(axis=0)]).astype(np.float32)


def add_pooled_embedding(graph: GraphWriter, maps: FeatureMaps) -> str:
    """Write `pooled_embedding`; the result is (1, 2d)."""
    embeddings = add_embeddings(graph, maps)
    if maps.regions is not None:
        return _add_pooled_over(graph, maps.regions, embeddings, maps.grid)
    axes, count = graph.ints(2, 3), graph.scalar(maps.grid[0] * maps.grid[1])
    means = [graph.add("ReduceMean", layer, axes, keepdims=1) for layer in embeddings]
    deviations = []
    for layer, mean in zip(embeddings, means, strict=True):
        offsets = graph.add("Sub", layer, mean)
        squares = graph.add("ReduceSumSquare", offsets, axes, keepdims=1)
        deviations.append(graph.add("Sqrt", graph.add("Div", squares, count)))
    pooled = graph.add("Concat", *means, *deviations, axis=1)
    return graph.add("Reshape", pooled, graph.ints(1, -1))


def _add_pooled_over(
    graph: GraphWriter, regions: GraphRegions, embeddings: Sequence[str], grid: tuple[int, int]
) -> str:
    """Write `pooled_embedding` of the patches that count."""
    weights, count = regions.add_weights(graph, grid)
    axes = graph.ints(2, 3)
    means, deviations = [], []
    for layer in embeddings:
        total = graph.add("ReduceSum", graph.add("Mul", layer, weights), axes, keepdims=1)
        means.append(graph.add("Div", total, count))
        offsets = graph.add("Mul", graph.add("Sub", layer, means[-1]), weights)
        squares = graph.add("ReduceSumSquare", offsets, axes, keepdims=1)
        deviations.append(graph.add("Sqrt", graph.add("Div", squares, count)))
    pooled = graph.add("Concat", *means, *deviations, axis=1)
    return graph.add("Reshape", pooled, graph.ints(1, -1))


def image_score(patch_scores: NDArray[np.float32]) -> float:
    """Return the mean of the top `TOP_SHARE` of patch scores (n,)."""
    count = top_count(len(patch_scores))
    return float(np.partition(patch_scores, -count)[-count:].mean())


def add_top_mean(graph: GraphWriter, patch_scores: str, patches: int) -> str:
    """Write `image_score`, given the name of patch scores (n,); the result is a scalar."""
    top = graph.add_top(patch_scores, top_count(patches))
    return graph.add("ReduceMean", top, keepdims=0)


def top_count(patches: int) -> int:
    """Return how many of an image's patches make its score."""
    return max(1, round(TOP_SHARE * min(patches, MOST_PATCHES)))
