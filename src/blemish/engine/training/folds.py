"""Folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label

FOLDS = 5
"""The number of folds, if there are at least as many different normal images."""


def assign_folds(
    digests: Sequence[bytes], labels: Sequence[Label], *, folds: int
) -> NDArray[np.int64]:
    """Deal images out to folds, each label evenly; identical images go to the same fold.

    An image's fold depends on the set of images, not on their order: the distinct images of
    each label are dealt out in the order of their digests.

    Args:
        digests: hash of each image's bytes.
        labels: of each image; where identical images differ in it, they count as normal.
        folds: at least 1; some stay empty when there are fewer distinct images.

    Returns:
        (n,) fold of each image, from 0.
    """
    pairs = list(zip(digests, labels, strict=True))
    normal = {digest for digest, label in pairs if label is Label.NORMAL}
    fold_of: dict[bytes, int] = {}
    for group in (normal, set(digests) - normal):
        fold_of |= {digest: index % folds for index, digest in enumerate(sorted(group))}
    return np.array([fold_of[digest] for digest in digests], dtype=np.int64)
