"""Nested cross-validation: every image scored by parts that never saw it.

With folds 0 to F - 1, parts are fitted without each fold and without each pair of folds. An image
of fold j, scored without folds i and j, is held out within the outer fold i: whatever is chosen
from such scores has not seen fold i. Scored without fold j alone, it is held out from the final
choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.scorers.heads import LinearHead, fit_image_head, fit_patch_head
from blemish.engine.scorers.patch_classifier import PatchClassifier
from blemish.engine.scorers.scorers import (
    BANK,
    BANK_ROWS,
    WHITENED,
    ImageGaussian,
    MemoryBank,
    Subspace,
    fit_image_gaussian,
    fit_memory_bank,
    fit_subspace,
    image_score,
    pooled_embedding,
    whitening_of,
)
from blemish.engine.training.features import (
    ALTERNATIVES_TAKE,
    EmbeddedImage,
    FoldPart,
    TrainingFeatures,
)
from blemish.engine.training.labeled_images import Progress, ProgressCallback

_Float = TypeVar("_Float", np.float32, np.float64)

SUBSPACE, IMAGE = "subspace", "picture"
IMAGE_HEAD, PATCH_HEAD = "picture head", "patch head"
HEADS = (IMAGE_HEAD, PATCH_HEAD)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What some of the images taught."""

    #: the memory bank and, where there are labels to choose by, others
    banks: dict[str, MemoryBank]
    subspace: Subspace
    image: ImageGaussian
    #: None where no anomalies are labelled
    image_head: LinearHead | None
    patch_head: PatchClassifier | None


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Scores of the kept images, m of them; index i is the outer fold that is left out as well.

    Where i is the image's own fold, nothing but that fold is left out.
    """

    #: (m,)
    fold_of: NDArray[np.int64]
    #: (m,)
    anomalous: NDArray[np.bool_]
    #: scorer -> (F, m, n) patch scores
    maps: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    #: scorer or head -> (F, m) image scores
    scores: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def folds(self) -> int:
        """How many outer folds there are."""
        return int(self.fold_of.max()) + 1


def fit_parts(gathered: TrainingFeatures, without: Iterable[int], *, seed: int) -> Parts:
    """Fit scorers and heads to all images but those of some folds."""
    left_out = set(without)
    inside = [part for fold, part in enumerate(gathered.folds) if fold not in left_out]
    pooled = {label: [row for part in inside for row in part.pooled[label]] for label in Label}
    moments = reduce(add, (part.moments for part in inside))
    generator = np.random.default_rng([seed, *sorted(left_out)])
    parts = Parts(
        banks=_fit_banks(inside, gathered.projections, generator=generator),
        subspace=fit_subspace(moments),
        image=fit_image_gaussian(np.stack(pooled[Label.NORMAL])),
        image_head=None,
        patch_head=None,
    )
    if not enough_for_heads(gathered):
        return parts
    kept = [image for image in gathered.embedded_images if image.fold not in left_out]
    return replace(
        parts,
        image_head=fit_image_head(pooled[Label.NORMAL], pooled[Label.ANOMALY]),
        patch_head=fit_patch_head(kept, parts.banks[BANK], generator=generator),
    )


def _fit_banks(
    parts: Sequence[FoldPart],
    projections: Mapping[str, NDArray[np.float32]],
    *,
    generator: np.random.Generator,
) -> dict[str, MemoryBank]:
    """Fit the memory bank and, where layers are tried alone, these and one that is whitened."""
    candidates = {
        name: np.concatenate([rows for part in parts for rows in part.candidates[name]])
        for name in projections
    }
    banks = {BANK: fit_memory_bank(candidates[BANK], projections[BANK], generator=generator)}
    others = {
        name: (candidates[name], projection)
        for name, projection in projections.items()
        if name != BANK
    }
    if others:
        white, few = whitening_of(candidates[BANK]), candidates[BANK][::ALTERNATIVES_TAKE]
        others[WHITENED] = few @ white, projections[BANK] @ white
    for name, its in others.items():
        rows = BANK_ROWS // ALTERNATIVES_TAKE
        banks[name] = fit_memory_bank(*its, generator=generator, rows=rows)
    return banks


def enough_for_heads(gathered: TrainingFeatures) -> bool:
    """Tell whether every head sees an anomaly, whichever two folds are left out."""
    return (
        len({image.fold for image in gathered.embedded_images if image.label is Label.ANOMALY}) > 2
    )


def hold_out(
    gathered: TrainingFeatures, *, seed: int, threads: int, progress: ProgressCallback
) -> HeldOut:
    """Score the kept images by parts fitted without their fold, and without one more.

    With two folds nothing is left to fit to without both; then a fold alone is left out.

    Args:
        gathered: of two folds or more, each with a normal image.
        seed: of samples and coresets.
        threads: fits that are worked on at once; the scores do not depend on it.
        progress: told after each fit.
    """
    kept, folds = gathered.embedded_images, len(gathered.folds)
    images, patches = len(kept), gathered.grid[0] * gathered.grid[1]
    heads = HEADS if enough_for_heads(gathered) else ()
    banks = [*gathered.projections, *([WHITENED] if len(gathered.projections) > 1 else [])]
    held_out = HeldOut(
        fold_of=np.array([image.fold for image in kept], dtype=np.int64),
        anomalous=np.array([image.label is Label.ANOMALY for image in kept], dtype=np.bool_),
        maps={
            name: np.zeros((folds, images, patches), dtype=np.float32)
            for name in (*banks, SUBSPACE)
        },
        scores={name: np.zeros((folds, images)) for name in (IMAGE, *heads)},
    )
    pairs = [(i, j) for i in range(folds) for j in range(i, folds) if folds > 2 or i == j]

    def work(pair: tuple[int, int]) -> None:
        parts = fit_parts(gathered, pair, seed=seed)
        for place, image in enumerate(kept):
            if image.fold in pair:
                outer = pair[0] + pair[1] - image.fold
                _score(parts, image, held_out, (outer, place))
                if folds == 2:
                    _score(parts, image, held_out, (1 - outer, place))

    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(work, pairs), start=1):
            progress(Progress(step="cross-validation", done=done, total=len(pairs)))
    return held_out


def _score(parts: Parts, image: EmbeddedImage, held_out: HeldOut, at: tuple[int, int]) -> None:
    """Write an image's scores where they belong."""
    embeddings = image.embeddings
    pooled = pooled_embedding(embeddings)[np.newaxis]
    for name, bank in parts.banks.items():
        held_out.maps[name][at] = bank.patch_scores(embeddings)
    held_out.maps[SUBSPACE][at] = parts.subspace.patch_scores(embeddings)
    held_out.scores[IMAGE][at] = parts.image.image_scores(pooled)[0]
    if parts.image_head is not None:
        held_out.scores[IMAGE_HEAD][at] = parts.image_head.logits(pooled)[0]
    if parts.patch_head is not None:
        margins = parts.patch_head.margins(embeddings)[:, 0]
        held_out.scores[PATCH_HEAD][at] = image_score(margins)


def diagonal(values: NDArray[_Float], fold_of: NDArray[np.int64]) -> NDArray[_Float]:
    """Return what is held out from the final choice (m, ...) of values (F, m, ...)."""
    return values[fold_of, np.arange(len(fold_of))]


def normal_rows(held_out: HeldOut, *, without: Sequence[int] = ()) -> NDArray[np.int64]:
    """Return the rows of the normal images that are in none of some folds."""
    return np.flatnonzero(~held_out.anomalous & ~np.isin(held_out.fold_of, without))
