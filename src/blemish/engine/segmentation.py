"""The segmentation head as a training makes it: fitted to masks, weighed by held-out images.

A head that is balanced and fitted to few pictures answers too much or too little of a type. How
much its logits must be moved shows on pictures that it was not fitted to.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from blemish.engine.heads import SegmentationHead, fit_segmentation_head
from blemish.engine.masked_patches import JoinedPatches, MaskedPatches, join_patches

FOLDS = 3
SPECK_SHARE = 0.25
MAX_SPECK_AREA = 3.0  # patches, a third of the window in which the graph measures

_OFFSETS = np.arange(-12, 13) / 4
"""What a type's logit can be lowered by: steps within which IoU hardly changes."""


def fit_segmentation(
    images: Sequence[MaskedPatches], anomaly_types: Sequence[str], *, seed: int, threads: int
) -> SegmentationHead:
    """Fit a head for `anomaly_types`, each with the offset that gives held-out images the best IoU.

    Args:
        images: with at least one that shows each type.
        anomaly_types: in the order of the classes after the background.
        seed: of the fits.
        threads: folds that are worked on at once; the head does not depend on it.
    """
    patches = join_patches(images, anomaly_types)
    head = _fit_weighed(images, patches, seed=seed, threads=threads)
    return head.without_specks(speck_area(patches))


def speck_area(patches: JoinedPatches) -> float:
    """Return the patches below which a region is a speck: a part of the least anomaly in any mask.

    Masks say how small an anomaly may be; where they show tiny ones, next to nothing is a speck.
    """
    areas = patches.shares[:, 1:].sum(axis=1) * patches.weights
    of_images = np.bincount(patches.images, areas)
    least = of_images[of_images > 0].min()
    return float(min(SPECK_SHARE * least, MAX_SPECK_AREA))


def _fit_weighed(
    images: Sequence[MaskedPatches], patches: JoinedPatches, *, seed: int, threads: int
) -> SegmentationHead:
    fold_of_image = assign_mask_folds(images)
    fold_of, folds = fold_of_image[patches.images], int(fold_of_image.max()) + 1
    if folds == 1:
        return _fit(patches, generator=np.random.default_rng([seed, folds]))
    logits = np.empty_like(patches.shares)

    def answer_fold(fold: int) -> None:
        others = patches.rows(fold_of != fold)
        head = _fit(others, generator=np.random.default_rng([seed, fold]))
        logits[fold_of == fold] = head.logits(patches.embeddings[fold_of == fold])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(answer_fold, range(folds)))
    head = _fit(patches, generator=np.random.default_rng([seed, folds]))
    return head.shifted(-best_offsets(logits, patches.shares, patches.weights))


def assign_mask_folds(images: Sequence[MaskedPatches]) -> NDArray[np.int64]:
    """Deal images out to at most `FOLDS` folds (n,), evenly by the types they show.

    Identical pictures go to the same fold, and a picture's fold does not depend on their order.
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
        overlaps = both / either
        best = np.flatnonzero(overlaps == overlaps.max())
        offsets[kind] = min(_OFFSETS[best], key=abs) if overlaps.any() else 0
    return offsets


def _fit(patches: JoinedPatches, *, generator: np.random.Generator) -> SegmentationHead:
    return fit_segmentation_head(patches.embeddings, patches.shares, generator=generator)
