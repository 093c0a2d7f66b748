"""Cross-validation: every image scored by a memory bank that never saw it."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.folds import assign_folds
from blemish.engine.labeled import Progress, ProgressCallback
from blemish.engine.sampling import patch_quota, sample_rows
from blemish.engine.scorers import MemoryBank, fit_memory_bank, image_score

FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class ProjectedImage:
    """The patches of one training image."""

    #: SHA-256 of the image's bytes
    digest: bytes
    label: Label
    #: (n, p), projected
    embeddings: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class HeldOutScores:
    """Image scores, each by the normal images of the other folds."""

    #: (n,)
    scores: NDArray[np.float64]
    #: (n,) whether the image is labelled as an anomaly
    anomalous: NDArray[np.bool_]


def held_out_scores(
    images: Sequence[ProjectedImage], *, seed: int, threads: int, progress: ProgressCallback
) -> HeldOutScores:
    """Score each image by memory banks fitted as the final one is, to the rest of the folds.

    Args:
        images: with at least two different normal ones.
        seed: of the samples and coresets.
        threads: folds that are worked on at once; the scores do not depend on it.
        progress: told after each fold.
    """
    folds = min(FOLDS, len({image.digest for image in images if image.label is Label.NORMAL}))
    fold_of = assign_folds(
        [image.digest for image in images], [image.label for image in images], folds=folds
    )
    scores = np.empty(len(images), dtype=np.float64)

    def score_fold(fold: int) -> None:
        others = [images[i] for i in np.flatnonzero(fold_of != fold).tolist()]
        bank = _fit_bank(others, generator=np.random.default_rng([seed, fold]))
        for i in np.flatnonzero(fold_of == fold).tolist():
            scores[i] = image_score(bank.patch_scores(images[i].embeddings))

    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(score_fold, range(folds)), start=1):
            progress(Progress(step="cross-validation", done=done, total=folds))
    anomalous = np.array([image.label is Label.ANOMALY for image in images], dtype=np.bool_)
    return HeldOutScores(scores=scores, anomalous=anomalous)


def _fit_bank(images: Sequence[ProjectedImage], *, generator: np.random.Generator) -> MemoryBank:
    normal = [image.embeddings for image in images if image.label is Label.NORMAL]
    quota = patch_quota(len(normal))
    candidates = [sample_rows(rows, quota, generator=generator) for rows in normal]
    return fit_memory_bank(np.concatenate(candidates), generator=generator)
