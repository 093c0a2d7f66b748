"""The held-out scores of all images by all scorers, patch scores weighed by their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.engine.scorers.positions import (
    MIN_ALIGNMENT,
    alignment,
    border_weights,
    position_scales,
)
from blemish.engine.scorers.scorers import BANK, top_count
from blemish.engine.training.cross_validation import SUBSPACE, HeldOut, diagonal, normal_rows

BY_PLACE = " by place"
"""Ends the name of a patch scorer whose scores count by how high they are for their place."""


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """Image scores of the kept images at one size; indices are those of `HeldOut`."""

    #: (width, height) at which a graph would see the images
    size: tuple[int, int]
    fold_of: NDArray[np.int64]
    anomalous: NDArray[np.bool_]
    #: score -> (F, m)
    scores: Mapping[str, NDArray[np.float64]]
    #: patch scorer -> (n,) scale of each place, for the parts fitted to all images
    scales: Mapping[str, NDArray[np.float32]]
    #: patch scorer -> how well normal images are aligned, in its eyes
    alignments: Mapping[str, float]

    @property
    def folds(self) -> int:
        """How many outer folds there are."""
        return int(self.fold_of.max()) + 1

    @property
    def alternatives(self) -> list[str]:
        """The memory banks that may stand in for the first."""
        return [name for name in self.scales if name not in {BANK, SUBSPACE}]

    def local(self, name: str) -> str:
        """Return the name of a patch scorer's score: by place where images are aligned enough."""
        return name + BY_PLACE if self.alignments[name] >= MIN_ALIGNMENT else name

    def held_out(self, name: str, outer: int | None) -> NDArray[np.float64]:
        """Return (m,) scores that an outer fold, or None, did not take part in."""
        values = self.scores[name]
        return values[outer] if outer is not None else diagonal(values, self.fold_of)


def score_table(held_out: HeldOut, grid: tuple[int, int], *, size: tuple[int, int]) -> ScoreTable:
    """Turn patch scores into image scores, with and without the scale of their places.

    Args:
        held_out: patch scores, and the image scores that there are already.
        grid: (h, w) of the patches.
        size: (width, height) at which a graph would see the images.
    """
    scores, scales, alignments = dict(held_out.scores), {}, {}
    normal, seen = normal_rows(held_out), border_weights(grid)
    for name, maps in held_out.maps.items():
        final = diagonal(maps, held_out.fold_of)[normal]
        scales[name], alignments[name] = position_scales(final, grid), alignment(final, grid)
        scores[name] = _top(maps * seen)
        scores[name + BY_PLACE] = _by_place(maps, held_out, grid)
    return ScoreTable(
        size=size,
        fold_of=held_out.fold_of,
        anomalous=held_out.anomalous,
        scores=scores,
        scales=scales,
        alignments=alignments,
    )


def _by_place(
    maps: NDArray[np.float32], held_out: HeldOut, grid: tuple[int, int]
) -> NDArray[np.float64]:
    """Return image scores (F, m); an image's own fold has no say in the scales of its places."""
    scores, seen = np.empty(maps.shape[:2]), border_weights(grid)
    for outer in range(held_out.folds):
        for fold in range(held_out.folds):
            rows = normal_rows(held_out, without=(outer, fold))
            scale = position_scales(maps[outer, rows], grid)
            its = np.flatnonzero(held_out.fold_of == fold)
            scores[outer, its] = _top(maps[outer, its] * (seen / scale))
    return scores


def _top(maps: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the means over the highest patch scores (..., n) of each image."""
    count = top_count(maps.shape[-1])
    highest = np.partition(maps, -count, axis=-1)[..., -count:]
    means: NDArray[np.float64] = highest.mean(axis=-1, dtype=np.float64)
    return means
