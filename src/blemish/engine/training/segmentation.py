"""The segmentation head as a training makes it: fitted to masks, weighed by held-out images.

A head that is balanced and fitted to few images answers too much or too little of a type. How
much its logits must be moved shows on images that it was not fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from blemish.engine.scorers.patch_classifier import PatchClassifier, fit_patch_classifier
from blemish.engine.training.masked_patches import JoinedPatches, MaskedPatches, join_patches

FOLDS = 3
GUESS_WEIGHT = np.float32(0.5)
"""What a patch of an image without a mask counts, against 1 of an image with one."""

SPECK_SHARE = 0.25
MAX_SPECK_AREA = 3.0  # patches, a third of the window in which the graph measures

_OFFSETS = np.arange(-12, 13) / 4
"""What a type's logit can be lowered by: steps within which IoU hardly changes."""


def fit_segmentation(
    images: Sequence[MaskedPatches],
    anomaly_types: Sequence[str],
    *,
    unmasked: NDArray[np.float32],
    seed: int,
    threads: int,
) -> PatchClassifier:
    """Fit a head for `anomaly_types`, each with the offset that gives held-out images the best IoU.

    Patches of anomalous images without a mask are learned from too: a first head says what each
    shows, and a second is fitted to these guesses beside the masks. A head that judges held-out
    images learns from guesses of a head that did not see them either.

    Args:
        images: with at least one that shows each type.
        anomaly_types: in the order of the classes after the background.
        unmasked: (n, d), n may be 0.
        seed: of the fits.
        threads: fits that are worked on at once; the head does not depend on it.

    Source: Lee, "Pseudo-Label", ICML 2013 workshop; here the guesses keep their probabilities.
    """
    patches = join_patches(images, anomaly_types)
    fold_of = assign_mask_folds(images)[patches.images]
    folds = int(fold_of.max()) + 1 if fold_of.max() > 0 else 0

    def fit_all(guesses: Sequence[NDArray[np.float32]]) -> list[PatchClassifier]:
        def fit(fold: int) -> PatchClassifier:  # the one after the last fold sees all
            seen = patches.rows(fold_of != fold if folds else fold_of >= 0)
            return fit_patch_classifier(
                np.concatenate([seen.embeddings, *([unmasked] if guesses else [])]),
                np.concatenate([seen.shares, *([guesses[fold]] if guesses else [])]),
                generator=np.random.default_rng([seed, fold]),
            )

        with ThreadPoolExecutor(threads) as pool:
            heads = list(pool.map(fit, range(folds + 1)))
        offsets = _held_out_offsets(heads, patches, fold_of)
        return [head.shifted(-offsets) for head in heads]

    heads = fit_all(())
    if len(unmasked):
        heads = fit_all([GUESS_WEIGHT * head.probabilities(unmasked) for head in heads])
    return heads[-1].without_specks(speck_area(patches))


def _held_out_offsets(
    heads: Sequence[PatchClassifier], patches: JoinedPatches, fold_of: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the best offsets of heads of which each but the last did not see its fold."""
    if len(heads) == 1:
        return np.zeros(patches.shares.shape[1], dtype=np.float32)
    logits = np.empty_like(patches.shares)
    for fold, head in enumerate(heads[:-1]):
        logits[fold_of == fold] = head.logits(patches.embeddings[fold_of == fold])
    return best_offsets(logits, patches.shares, patches.weights)


def speck_area(patches: JoinedPatches) -> float:
    """Return the patches below which a region is a speck: a part of the least anomaly in any mask.

    Masks say how small an anomaly may be; where they show tiny ones, next to nothing is a speck.
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
    place_of = {digest: place for place, digest in enumerate(order)}
    return np.array([place_of[image.digest] % folds for image in images], dtype=np.int64)


def best_offsets(
    logits: NDArray[np.float32], shares: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return by how much each class's logit is to be lowered, 0 for the background.

    A type's IoU is that of areas: of the patches it is answered for, against its shares. The best
    F1 lies at the same offset.

    Args:
        logits: (n, classes), of images that the head was not fitted to.
        shares: (n, classes), the truth.
        weights: (n,) patches that each stands for.
    """
    offsets = np.zeros(logits.shape[1], dtype=np.float32)
    for kind in range(1, len(offsets)):
        margins = logits[:, kind] - np.delete(logits, kind, axis=1).max(axis=1)
        answered = weights * (margins > _OFFSETS[:, np.newaxis])
        both = answered @ shares[:, kind]
        either = answered.sum(axis=1) + weights @ shares[:, kind] - both
        overlaps = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
        best = np.flatnonzero(overlaps == overlaps.max())
        offsets[kind] = min(_OFFSETS[best], key=abs) if overlaps.any() else 0
    return offsets
