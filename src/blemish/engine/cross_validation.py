"""Cross-validation: every image scored by a memory bank that never saw it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.folds import assign_folds
from blemish.engine.scorers import fit_memory_bank, image_score

FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class ProjectedImage:
    """The patches of one training image."""

    #: SHA-256 of the image's bytes
    digest: bytes
    label: Label
    #: (n, p), projected
    embeddings: NDArray[np.float32]


Sampler = Callable[[Sequence[ProjectedImage]], NDArray[np.float32]]
"""Chooses the patches of normal images that a memory bank is selected from."""


def held_out_scores(
    images: Sequence[ProjectedImage],
    *,
    sample: Sampler,
    seed: int,
    on_fold: Callable[[int], None],
) -> NDArray[np.float64]:
    """Score each image by the normal images of the other folds.

    Args:
        images: with at least two distinct normal ones.
        sample: applied to the normal images of the other folds.
        seed: of the coreset selection.
        on_fold: called with the number of folds done.

    Returns:
        (n,) image scores.
    """
    digests = [image.digest for image in images]
    labels = [image.label for image in images]
    normals = {image.digest for image in images if image.label is Label.NORMAL}
    folds = min(FOLDS, len(normals))
    fold_of = assign_folds(digests, labels, folds=folds)
    scores = np.empty(len(images), dtype=np.float64)
    for fold in range(folds):
        rest = [
            image
            for image, its_fold in zip(images, fold_of, strict=True)
            if its_fold != fold and image.label is Label.NORMAL
        ]
        bank = fit_memory_bank(sample(rest), generator=np.random.default_rng([seed, fold]))
        for i in np.flatnonzero(fold_of == fold).tolist():
            scores[i] = image_score(bank.patch_scores(images[i].embeddings))
        on_fold(fold + 1)
    return scores
