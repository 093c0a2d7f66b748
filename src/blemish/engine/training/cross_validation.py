"""Nested cross-validation: every image is scored by scorers that were fitted without it.

With folds 0 to F - 1, scorers are fitted without each fold, and without each pair of folds. The
score of an image of fold j by scorers without folds i and j serves the outer fold i: a selection
by such scores has not seen fold i. The score by scorers without fold j alone serves the final
selection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.scorers.memory_bank import LAYER_BANKS, NETWORK_BANKS
from blemish.engine.scorers.pooling import image_score, pooled_embedding
from blemish.engine.scorers.registry import SCORERS
from blemish.engine.scorers.scorer import (
    FittedScorer,
    FittingData,
    PatchScorer,
    Role,
    Scorer,
)
from blemish.engine.training.features import TrainingFeatures
from blemish.engine.training.labeled_images import Progress, ProgressCallback

_SCORED_AT_ONCE = 4_096
"""Patches, those of 512 x 512 pixels."""

_Float = TypeVar("_Float", np.float32, np.float64)


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """Scores of m images; index i is the outer fold, which the scorers have not seen either.

    Where i is the image's own fold, the scorers have seen all other folds.
    """

    #: (m,)
    fold_of: NDArray[np.int64]
    #: (m,)
    anomalous: NDArray[np.bool_]
    #: positional scorer -> (F, m, n) patch scores
    patch_scores: dict[Scorer, NDArray[np.float32]]
    #: any other scorer -> (F, m) image scores
    image_scores: dict[Scorer, NDArray[np.float64]]
    #: (n,) the patches that count; the others have the mean score of these; None for all
    inspected: NDArray[np.bool_] | None = None

    @property
    def folds(self) -> int:
        """The number of outer folds."""
        return int(self.fold_of.max()) + 1


def usable_scorers(
    features: TrainingFeatures, scorers: Sequence[Scorer] = SCORERS
) -> tuple[Scorer, ...]:
    """Return the scorers that can be fitted to these features.

    Heads need anomalies in three folds: then each fit sees one, whichever two folds are left out.
    """
    roles = {Role.PRIMARY} if features.bank_alone else {Role.PRIMARY, Role.SECONDARY}
    if len(features.projections) > 1:
        roles.add(Role.ALTERNATIVE)
    anomalies = [image for image in features.embedded_images if image.label is Label.ANOMALY]
    if len({image.fold for image in anomalies}) > 2:
        roles.add(Role.HEAD)
    absent = {
        scorer
        for scorer in (*LAYER_BANKS, *NETWORK_BANKS)
        if scorer.name not in features.projections
    }
    return tuple(scorer for scorer in scorers if scorer.role in roles and scorer not in absent)


def fit_scorers(
    features: TrainingFeatures,
    without: Iterable[int],
    *,
    seed: int,
    scorers: Sequence[Scorer] = SCORERS,
) -> dict[Scorer, FittedScorer]:
    """Fit all usable scorers to the images outside of some folds."""
    left_out = set(without)
    inside = [part for fold, part in enumerate(features.folds) if fold not in left_out]
    fitted: dict[Scorer, FittedScorer] = {}
    data = FittingData(
        projections=features.projections,
        candidates={
            name: np.concatenate([rows for part in inside for rows in part.candidates[name]])
            for name in features.projections
        },
        moments=reduce(add, (part.moments for part in inside)),
        pooled={label: [row for part in inside for row in part.pooled[label]] for label in Label},
        images=[image for image in features.embedded_images if image.fold not in left_out],
        generator=np.random.default_rng([seed, *sorted(left_out)]),
        fitted=fitted,
    )
    for scorer in usable_scorers(features, scorers):
        fitted[scorer] = scorer.fit(data)
    return fitted


def cross_validate(
    features: TrainingFeatures,
    *,
    seed: int,
    threads: int,
    progress: ProgressCallback,
    scorers: Sequence[Scorer] = SCORERS,
) -> CrossValidation:
    """Score the embedded images by scorers fitted without their fold, and without one more.

    With only two folds, leaving out both would leave no images, so only one fold is left out.

    Args:
        features: of two folds or more, each with a normal image.
        seed: of samples and coresets.
        threads: fits that run at once; the scores do not depend on it.
        progress: called after each fit, and after each part of the images.
        scorers: the scorers to fit, if they are usable.
    """
    images, folds = features.embedded_images, len(features.folds)
    result = _empty(features, usable_scorers(features, scorers))
    pairs = [(i, j) for i in range(folds) for j in range(i, folds) if folds > 2 or i == j]

    def fit(pair: tuple[int, int]) -> dict[Scorer, FittedScorer]:
        return fit_scorers(features, pair, seed=seed, scorers=scorers)

    def score(row: int) -> None:
        image = images[row]
        embeddings = image.embeddings  # once, because some are computed here
        for pair, fitted in zip(pairs, fits, strict=True):
            if image.fold in pair:
                outer_folds = (0, 1) if folds == 2 else (pair[0] + pair[1] - image.fold,)
                _store_scores(result, fitted, embeddings, outer_folds=outer_folds, row=row)

    def report(done: int) -> None:
        progress(Progress(step="cross-validation", done=done, total=2 * len(pairs)))

    fits: list[dict[Scorer, FittedScorer]] = []
    report(0)
    with ThreadPoolExecutor(threads) as pool:
        for fitted in pool.map(fit, pairs):
            fits.append(fitted)
            report(len(fits))
        parts = np.array_split(np.arange(len(images)), len(pairs))
        for done, rows in enumerate(parts, start=len(pairs) + 1):
            deque(pool.map(score, rows.tolist()), maxlen=0)
            report(done)
    return result


def _empty(features: TrainingFeatures, scorers: Sequence[Scorer]) -> CrossValidation:
    """Return a cross-validation whose scores are still 0."""
    images, folds = features.embedded_images, len(features.folds)
    patches = features.grid[0] * features.grid[1]
    return CrossValidation(
        fold_of=np.array([image.fold for image in images], dtype=np.int64),
        anomalous=np.array([image.label is Label.ANOMALY for image in images], dtype=np.bool_),
        patch_scores={
            scorer: np.zeros((folds, len(images), patches), dtype=np.float32)
            for scorer in scorers
            if scorer.positional
        },
        image_scores={
            scorer: np.zeros((folds, len(images))) for scorer in scorers if not scorer.positional
        },
        inspected=features.inspected,
    )


def _store_scores(
    result: CrossValidation,
    fitted: dict[Scorer, FittedScorer],
    embeddings: NDArray[np.float32],
    *,
    outer_folds: tuple[int, ...],
    row: int,
) -> None:
    """Compute the scores of an image's embeddings, and store them for some outer folds."""
    pooled = None
    for scorer, entry in fitted.items():
        if not isinstance(entry, PatchScorer):
            if pooled is None:  # of wide embeddings it takes as long as a score
                pooled = pooled_embedding(embeddings)[np.newaxis]
            result.image_scores[scorer][outer_folds, row] = entry.image_scores(pooled)[0]
        elif scorer.positional:
            scores = on_grid(_patch_scores(entry, embeddings), result.inspected)
            result.patch_scores[scorer][outer_folds, row] = scores
        else:
            scores = _patch_scores(entry, embeddings)
            result.image_scores[scorer][outer_folds, row] = image_score(scores)


def _patch_scores(scorer: PatchScorer, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scores (n,) of embeddings (n, d), in parts, so that distances need less memory."""
    starts = range(0, len(embeddings), _SCORED_AT_ONCE)
    parts = [scorer.patch_scores(embeddings[start : start + _SCORED_AT_ONCE]) for start in starts]
    return np.concatenate(parts)


def on_grid(
    scores: NDArray[np.float32], inspected: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Return the scores (n,) of all patches, given those of the patches that count."""
    if inspected is None:
        return scores
    grid = np.full(inspected.shape, scores.mean(), dtype=np.float32)
    grid[inspected] = scores
    return grid


def own_fold_scores(values: NDArray[_Float], fold_of: NDArray[np.int64]) -> NDArray[_Float]:
    """Return the scores (m, ...) by scorers that left out the image's own fold alone.

    Args:
        values: (F, m, ...).
        fold_of: (m,).
    """
    return values[fold_of, np.arange(len(fold_of))]


def normal_rows(result: CrossValidation, *, without: Sequence[int] = ()) -> NDArray[np.int64]:
    """Return the rows of the normal images outside of some folds."""
    return np.flatnonzero(~result.anomalous & ~np.isin(result.fold_of, without))
