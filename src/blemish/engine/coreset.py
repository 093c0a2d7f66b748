"""Coreset selection: the few patch embeddings that stand for all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def select_coreset(
    embeddings: NDArray[np.float32], size: int, *, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Choose `size` embeddings that cover the rest, by greedy k-center.

    Every step adds the embedding farthest from all chosen so far; the covering radius that results
    is at most twice the best possible one. A step costs one matrix-vector product, since
    |a - b|² = |a|² - 2ab + |b|².

    Args:
        embeddings: (n, d), one row a patch.
        size: rows to keep, 1 <= size <= n.
        generator: the only source of randomness; same state, same coreset.

    Returns:
        (size,) row indices, in the order chosen, none twice.

    Raises:
        ValueError: `size` is not in [1, n].

    Source:
        Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, algorithm 1.
        Bound: Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985.
    """
    n = len(embeddings)
    if not 1 <= size <= n:
        raise ValueError(f"size must be in [1, {n}], got {size}")

    embeddings = embeddings - embeddings.mean(axis=0)  # short rows lose less in the difference
    squares = np.einsum("nd,nd->n", embeddings, embeddings)
    chosen = np.empty(size, dtype=np.int64)
    nearest = np.full(n, np.inf, dtype=np.float32)  # squared distance, less |a|² of the row itself
    pick = int(generator.integers(n))
    for i in range(size):
        chosen[i] = pick
        np.minimum(nearest, squares[pick] - 2 * (embeddings @ embeddings[pick]), out=nearest)
        nearest[pick] = -np.inf  # never again, even among duplicates
        pick = int((nearest + squares).argmax())
    return chosen
