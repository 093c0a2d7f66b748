"""The cross-validated image scores of all scorers, with and without scales by position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.engine.scorers.pooling import top_count
from blemish.engine.scorers.positions import (
    MIN_ALIGNMENT,
    alignment,
    border_weights,
    position_scales,
)
from blemish.engine.scorers.scorer import Role, ScoreKey, Scorer
from blemish.engine.training.cross_validation import (
    CrossValidation,
    normal_rows,
    own_fold_scores,
)


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """Image scores at one size of the graph; indices are those of `CrossValidation`."""

    #: (width, height) of the graph's image
    size: tuple[int, int]
    fold_of: NDArray[np.int64]
    anomalous: NDArray[np.bool_]
    #: key -> (F, m)
    scores: Mapping[ScoreKey, NDArray[np.float64]]
    #: positional scorer -> (n,) scale of each position, for the scorers fitted to all images
    scales: Mapping[Scorer, NDArray[np.float32]]
    #: positional scorer -> alignment of the normal images by its scores
    alignments: Mapping[Scorer, float]

    @property
    def folds(self) -> int:
        """The number of outer folds."""
        return int(self.fold_of.max()) + 1

    def scorers(self, *roles: Role) -> list[Scorer]:
        """Return the scorers of some roles, those of patches first."""
        scorers = dict.fromkeys(key.scorer for key in self.scores if key.scorer.role in roles)
        return sorted(scorers, key=lambda scorer: not scorer.positional)

    def aligned(self, scorer: Scorer) -> ScoreKey:
        """Return the key by position where images are aligned enough, else the plain one."""
        alignment = self.alignments.get(scorer, 0.0)
        return ScoreKey(scorer, by_position=alignment >= MIN_ALIGNMENT)

    def unseen(self, key: ScoreKey, outer: int | None) -> NDArray[np.float64]:
        """Return (m,) scores by scorers not fitted to an outer fold, or None for the final ones."""
        values = self.scores[key]
        return values[outer] if outer is not None else own_fold_scores(values, self.fold_of)


def score_table(
    result: CrossValidation, grid: tuple[int, int], *, size: tuple[int, int]
) -> ScoreTable:
    """Compute image scores from patch scores, with and without the scales by position.

    Args:
        result: the cross-validation.
        grid: (h, w) of the patches.
        size: (width, height) of the graph's image.
    """
    scores: dict[ScoreKey, NDArray[np.float64]] = {}
    scales, alignments = {}, {}
    normal, weights = normal_rows(result), border_weights(grid)
    for scorer, maps in result.patch_scores.items():
        final = own_fold_scores(maps, result.fold_of)[normal]
        scales[scorer], alignments[scorer] = position_scales(final, grid), alignment(final, grid)
        scores[ScoreKey(scorer)] = _top_means(maps * weights, result.inspected)
        scores[ScoreKey(scorer, by_position=True)] = _scores_by_position(maps, result, grid)
    scores |= {ScoreKey(scorer): values for scorer, values in result.image_scores.items()}
    return ScoreTable(
        size=size,
        fold_of=result.fold_of,
        anomalous=result.anomalous,
        scores=scores,
        scales=scales,
        alignments=alignments,
    )


def _scores_by_position(
    maps: NDArray[np.float32], result: CrossValidation, grid: tuple[int, int]
) -> NDArray[np.float64]:
    """Return image scores (F, m); the scales for an image leave out its own fold."""
    scores, weights = np.empty(maps.shape[:2]), border_weights(grid)
    for outer in range(result.folds):
        for fold in range(result.folds):
            normal = normal_rows(result, without=(outer, fold))
            scale = position_scales(maps[outer, normal], grid)
            rows = np.flatnonzero(result.fold_of == fold)
            scaled = maps[outer, rows] * (weights / scale)
            scores[outer, rows] = _top_means(scaled, result.inspected)
    return scores


def _top_means(
    maps: NDArray[np.float32], inspected: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    """Return the means over the highest patch scores (..., n) of each image that count."""
    if inspected is not None:
        maps = maps[..., inspected]
    count = top_count(maps.shape[-1])
    highest = np.partition(maps, -count, axis=-1)[..., -count:]
    means: NDArray[np.float64] = highest.mean(axis=-1, dtype=np.float64)
    return means
