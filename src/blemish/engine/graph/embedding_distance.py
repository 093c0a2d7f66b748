"""The part of the graph that says how far an image's mean embedding lies from normal ones.

The mean over all patches is linear in each feature map: one product with a vector computes it
without the embeddings of the patches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blemish.engine.backbones.embedding import FeatureMaps
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.images.upsample import upsampling_matrix
from blemish.engine.normal_images import EMBEDDING_DISTANCE, EmbeddingReference


def add_embedding_distance(
    graph: GraphWriter, maps: FeatureMaps, reference: EmbeddingReference
) -> None:
    """Write the root of the mean squared offset of the channels, in deviations, as an output."""
    parts = []
    for layer, (channels, h, w) in maps.shapes.items():
        flat = graph.add("Reshape", maps.names[layer], graph.ints(channels, h * w))
        weights = np.outer(_weights(h, maps.grid[0]), _weights(w, maps.grid[1]))
        parts.append(graph.add("MatMul", flat, graph.constant(weights.ravel().astype(np.float32))))
    mean = graph.add("Concat", *parts, axis=0)
    offsets = graph.add("Sub", mean, graph.constant(reference.mean))
    scaled = graph.add("Div", offsets, graph.constant(reference.deviation))
    square = graph.add("ReduceMean", graph.add("Mul", scaled, scaled), keepdims=0)
    graph.add("Sqrt", square, output=EMBEDDING_DISTANCE)
    graph.output(EMBEDDING_DISTANCE, np.float32, ())


def _weights(cells: int, patches: int) -> NDArray[np.float64]:
    """Return the weight (cells,) of each cell of a layer's side in the mean over the patches.

    A patch averages three cells, or the two that there are at the border, before the resize.
    """
    near = np.abs(np.subtract.outer(np.arange(cells), np.arange(cells))) <= 1
    averages = near / near.sum(axis=1, keepdims=True)
    weights: NDArray[np.float64] = (upsampling_matrix(cells, patches) @ averages).mean(axis=0)
    return weights
