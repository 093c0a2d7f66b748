"""The memory bank alone, as a training makes it of normal images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from blemish.engine.scorers.memory_bank import MemoryBank
from blemish.engine.scorers.pooling import image_score
from blemish.engine.scorers.positions import border_weights
from blemish.engine.training.sampling import candidate_quota, sample_rows


def bank_candidates(
    images: Iterable[NDArray[np.float32]],
    count: int,
    projection: NDArray[np.float32],
    *,
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Return the projected patches (n, p) that the bank is chosen from.

    Args:
        images: (n, d) embeddings of each normal image.
        count: of these images.
        projection: (d, p).
        generator: of the sample.
    """
    quota = candidate_quota(count)
    its = [sample_rows(rows, quota, generator=generator) @ projection for rows in images]
    return np.concatenate(its)


def bank_score(bank: MemoryBank, rows: NDArray[np.float32], grid: tuple[int, int]) -> float:
    """Return the image score of an image's embeddings (n, d), whose patches have a grid (h, w)."""
    return image_score(bank.patch_scores(rows) * border_weights(grid))
