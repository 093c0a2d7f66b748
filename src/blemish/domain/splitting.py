"""The split of the images of a project that has a training dataset alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from blemish.domain.entities import EvaluationMethod, Label

TEST_SHARE = 0.2
MIN_TEST = {Label.NORMAL: 5, Label.ANOMALY: 1}

MIN_HELD_OUT = 20
"""Images of a test part below which F1 depends on chance, and cross-validation adds the others."""


def evaluation_method(test_images: int, *, single: bool) -> EvaluationMethod:
    """Return what to measure performance on.

    Args:
        test_images: in the test part, or in the test dataset.
        single: whether the test part was split off a single dataset.
    """
    if not single:
        return EvaluationMethod.TEST_DATASET
    if test_images < MIN_HELD_OUT:
        return EvaluationMethod.CROSS_VALIDATION
    return EvaluationMethod.HELD_OUT


def split_rows(labels: Sequence[Label], hashes: Sequence[str]) -> list[int]:
    """Return the rows of the test part; all others are for training.

    The images of a label are ordered by the SHA-256 of their bytes, and the first fifth of them is
    the test part. So a retry gives the same split, and an image that is added later moves few
    others. Identical images stay together, on the side of the first, whatever their labels.

    Args:
        labels: of each image.
        hashes: SHA-256 of each image's bytes, hexadecimal.

    Returns:
        row numbers, in ascending order.
    """
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, digest in enumerate(hashes):
        rows_of[digest].append(row)

    selected: set[str] = set()
    for label, least in MIN_TEST.items():
        rows = [row for row in range(len(labels)) if labels[row] is label]
        wanted = min(max(least, round(TEST_SHARE * len(rows))), len(rows))
        count = sum(hashes[row] in selected for row in rows)
        for digest in sorted({hashes[row] for row in rows} - selected):
            if count >= wanted:
                break
            selected.add(digest)
            count += sum(labels[row] is label for row in rows_of[digest])
    return sorted(row for digest in selected for row in rows_of[digest])
