"""The segmentation head: fitted to masks, with offsets from held-out images.

A balanced head that is fitted to few images predicts too much or too little of a type. Images that
it was not fitted to show how far its logits must be shifted.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from blemish.engine.scorers.patch_classifier import PatchClassifier, fit_patch_classifier
from blemish.engine.training.masked_patches import JoinedPatches, MaskedPatches, join_patches

FOLDS = 3
PSEUDO_LABEL_WEIGHT = np.float32(0.5)
"""The weight of a patch with a pseudo-label; patches with a mask have 1."""

SPECK_SHARE = 0.25
MAX_SPECK_AREA = 3.0  # patches, a third of the window in which the graph measures

_OFFSETS = np.arange(-12, 13) / 4
"""Offsets that are tried for a type's logit: within a step, IoU hardly changes."""


def fit_segmentation(
    images: Sequence[MaskedPatches],
    anomaly_types: Sequence[str],
    *,
    unmasked: NDArray[np.float32],
    seed: int,
    threads: int,
) -> PatchClassifier:
    """Fit a head for `anomaly_types`, each with the offset that gives held-out images the best IoU.

    Patches of anomalous images without a mask take part too: a first head predicts their types, and
    a second head is fitted to the masks and to these pseudo-labels. A head for held-out images uses
    pseudo-labels by a head that was not fitted to these images either.

    Args:
        images: with at least one that shows each type.
        anomaly_types: in the order of the classes after the background.
        unmasked: (n, d), n may be 0.
        seed: of the fits.
        threads: fits that are worked on at once; the head does not depend on it.

    Source: Lee, "Pseudo-Label", ICML 2013 workshop; here the pseudo-labels are probabilities.
    """
    patches = join_patches(images, anomaly_types)
    fold_of = assign_mask_folds(images)[patches.images]
    folds = int(fold_of.max()) + 1 if fold_of.max() > 0 else 0

    def fit_all(guesses: Sequence[NDArray[np.float32]]) -> list[PatchClassifier]:
        def fit(fold: int) -> PatchClassifier:  # the one after the last fold is fitted to all
            fitted = patches.rows(fold_of != fold if folds else fold_of >= 0)
            return fit_patch_classifier(
                np.concatenate([fitted.embeddings, *([unmasked] if guesses else [])]),
                np.concatenate([fitted.shares, *([guesses[fold]] if guesses else [])]),
                generator=np.random.default_rng([seed, fold]),
            )

        with ThreadPoolExecutor(threads) as pool:
            heads = list(pool.map(fit, range(folds + 1)))
        offsets = _held_out_offsets(heads, patches, fold_of)
        return [head.shifted(-offsets) for head in heads]

    heads = fit_all(())
    if len(unmasked):
        heads = fit_all([PSEUDO_LABEL_WEIGHT * head.probabilities(unmasked) for head in heads])
    return heads[-1].without_specks(speck_area(patches))


def _held_out_offsets(
    heads: Sequence[PatchClassifier], patches: JoinedPatches, fold_of: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the best offsets of heads; each but the last was fitted without its fold."""
    if len(heads) == 1:
        return np.zeros(patches.shares.shape[1], dtype=np.float32)
    logits = np.empty_like(patches.shares)
    for fold, head in enumerate(heads[:-1]):
        logits[fold_of == fold] = head.logits(patches.embeddings[fold_of == fold])
    return best_offsets(logits, patches.shares, patches.weights)


def speck_area(patches: JoinedPatches) -> float:
    """Return the patches below which a region is a speck: a part of the least anomaly in any mask.

    Masks show how small an anomaly may be: if they contain tiny ones, hardly anything is a speck.
    """
    areas = patches.shares[:, 1:].sum(axis=1) * patches.weights
    of_images = np.bincount(patches.images, areas)
    least = of_images[of_images > 0].min(initial=MAX_SPECK_AREA / SPECK_SHARE)
    return float(SPECK_SHARE * least)


def assign_mask_folds(images: Sequence[MaskedPatches]) -> NDArray[np.int64]:
    """Deal images out to at most `FOLDS` folds (n,), evenly by the types they show.

    Identical images go to the same fold, and an image's fold does not depend on their order.
    """
    shown: dict[bytes, set[str]] = {}
    for image in images:
        shown.setdefault(image.digest, set()).update(image.shares)
    order = sorted(shown, key=lambda digest: (not shown[digest], sorted(shown[digest]), digest))
    folds = max(1, min(FOLDS, sum(bool(types) for types in shown.values())))
    index_of = {digest: index for index, digest in enumerate(order)}
    return np.array([index_of[image.digest] % folds for image in images], dtype=np.int64)


def best_offsets(
    logits: NDArray[np.float32], shares: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the number to subtract from each class's logit, 0 for the background.

    A type's IoU compares areas: those of the patches predicted as the type with its shares. The
    best F1 lies at the same offset.

    Args:
        logits: (n, classes), of images that the head was not fitted to.
        shares: (n, classes), the truth.
        weights: (n,) the number of patches that each represents.
    """
    offsets = np.zeros(logits.shape[1], dtype=np.float32)
    for kind in range(1, len(offsets)):
        margins = logits[:, kind] - np.delete(logits, kind, axis=1).max(axis=1)
        predicted = weights * (margins > _OFFSETS[:, np.newaxis])
        both = predicted @ shares[:, kind]
        either = predicted.sum(axis=1) + weights @ shares[:, kind] - both
        overlaps = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
        best = np.flatnonzero(overlaps == overlaps.max())
        offsets[kind] = min(_OFFSETS[best], key=abs) if overlaps.any() else 0
    return offsets
