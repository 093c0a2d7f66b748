"""Coreset selection: a few patch embeddings that represent all of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_POOL, _FRONT, _BLOCK = 2_000, 96, 256  # rows; tuned for speed, the result does not depend on them


def select_coreset(
    embeddings: NDArray[np.float32], size: int, *, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Select `size` embeddings that cover the rest, by greedy k-center.

    Every step adds the embedding farthest from all selected ones; the resulting covering radius is
    at most twice the best possible one. Distances to the selection only shrink, so an old distance
    bounds the new one, and a row is skipped while its bound is below another row's distance. Half
    of the distances are never computed; matrix products compute the others many at a time. One
    matrix-vector product a step would select the same rows in three times the time.

    Args:
        embeddings: (n, d), one row a patch.
        size: number of rows to select, 1 <= size <= n.
        generator: the only source of randomness; the same state gives the same coreset.

    Returns:
        (size,) distinct row indices, in the order of selection.

    Raises:
        ValueError: `size` is not in [1, n].

    Source:
        Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, algorithm 1.
        Bound: Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985. Laziness:
        Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978.
    """
    n = len(embeddings)
    if not 1 <= size <= n:
        raise ValueError(f"size must be in [1, {n}], got {size}")

    selection = _Selection(embeddings, size)
    selection.add(generator.integers(n, size=1))
    while selection.count < size:
        selection.advance()
    return selection.selected


class _Selection:
    """The state of a greedy selection."""

    def __init__(self, embeddings: NDArray[np.float32], size: int) -> None:
        n, width = embeddings.shape
        #: (n, d + 1): each embedding minus the mean, which loses fewer digits, and a 1
        self._rows = np.ones((n, width + 1), dtype=np.float32)
        np.subtract(embeddings, embeddings.mean(axis=0), out=self._rows[:, :-1])
        self._squares = np.einsum("nd,nd->n", self._rows[:, :-1], self._rows[:, :-1])
        #: (size, d + 1): -2c and |c|² of each selected c; its product with a row a is |a-c|² - |a|²
        self._centers = np.empty((size, width + 1), dtype=np.float32)
        #: squared distance to the nearest of the first `_compared` selected; -inf if selected
        self._nearest = np.full(n, np.inf, dtype=np.float32)
        self._compared = np.zeros(n, dtype=np.int64)
        self.selected = np.empty(size, dtype=np.int64)
        self.count = 0

    def add(self, rows: NDArray[np.int64]) -> None:
        """Select rows."""
        end = self.count + len(rows)
        self.selected[self.count : end] = rows
        self._centers[self.count : end, :-1] = -2 * self._rows[rows, :-1]
        self._centers[self.count : end, -1] = self._squares[rows]
        self._nearest[rows] = -np.inf
        self.count = end

    def advance(self) -> None:
        """Select from the rows that may be farthest, until a row outside of them may be farther."""
        pool, rest = _farthest(self._nearest, _POOL)
        pool = pool[self._compared[pool].argsort(kind="stable")]
        rows, squares = self._rows[pool], self._squares[pool]
        nearest = self._distances(pool, rows, squares)
        while self.count < len(self.selected) and nearest.max() >= rest:
            front, bound = _farthest(nearest, _FRONT)
            first = self.count
            picks = _pick(
                rows[front, :-1],
                nearest[front],
                bound=max(bound, rest),
                most=len(self.selected) - first,
            )
            self.add(pool[front[picks]])
            products = self._centers[first : self.count] @ rows.T
            np.minimum(nearest, products.min(axis=0) + squares, out=nearest)
            nearest[front[picks]] = -np.inf  # never selected again, even among duplicates
        self._nearest[pool] = nearest
        self._compared[pool] = self.count

    def _distances(
        self, pool: NDArray[np.int64], rows: NDArray[np.float32], squares: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Update the distances of a pool; the rows are sorted by their number of comparisons."""
        nearest, compared = self._nearest[pool], self._compared[pool]
        for start in range(0, len(pool), _BLOCK):
            block = slice(start, start + _BLOCK)
            if (known := compared[start]) < self.count:
                products = self._centers[known : self.count] @ rows[block].T
                nearest[block] = np.minimum(nearest[block], products.min(axis=0) + squares[block])
        return nearest


def _farthest(nearest: NDArray[np.float32], most: int) -> tuple[NDArray[np.int64], float]:
    """Return the indices of the largest distances, ascending, and the largest other distance."""
    others = len(nearest) - most
    if others <= 0:
        return np.arange(len(nearest)), -np.inf
    order = np.argpartition(nearest, others - 1)
    return np.sort(order[others:]), float(nearest[order[others - 1]])


def _pick(
    rows: NDArray[np.float32], nearest: NDArray[np.float32], *, bound: float, most: int
) -> list[int]:
    """Select the farthest of a few rows (n, d), one after the other; at least one.

    Args:
        rows: the rows to select from.
        nearest: (n,) squared distances to the nearest selected row.
        bound: squared distance below which a row outside may be farther.
        most: the largest number of rows to select.
    """
    squares = np.einsum("nd,nd->n", rows, rows)
    between = squares[:, np.newaxis] + squares - 2 * (rows @ rows.T)
    picks: list[int] = []
    while len(picks) < most:
        pick = int(nearest.argmax())
        if nearest[pick] < bound:
            break
        picks.append(pick)
        np.minimum(nearest, between[pick], out=nearest)
        nearest[pick] = -np.inf
    return picks
