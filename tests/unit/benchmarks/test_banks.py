from __future__ import annotations

import numpy as np
import pytest

from benchmarks.banks import bank_candidates, bank_score
from blemish.engine.scorers.memory_bank import MemoryBank

NOTHING_LEARNED = MemoryBank(
    projection=np.eye(2, dtype=np.float32),
    center=np.zeros(2, dtype=np.float32),
    rows=np.zeros((1, 2), dtype=np.float32),
)


def test_a_bank_is_chosen_from_every_patch_of_80_images_of_700_patches() -> None:
    images = [np.full((700, 2), number, dtype=np.float32) for number in range(80)]

    found = bank_candidates(
        images, 80, np.eye(2, dtype=np.float32), generator=np.random.default_rng(0)
    )

    assert np.array_equal(found, np.concatenate(images))


@pytest.mark.parametrize(("place", "score"), [((5, 5), 1.0), ((0, 5), 0.6), ((0, 0), 0.36)])
def test_a_patch_at_the_border_counts_by_what_it_sees_of_the_image(
    place: tuple[int, int], score: float
) -> None:
    rows = np.zeros((10, 10, 2), dtype=np.float32)
    rows[place] = (0.6, 0.8)

    found = bank_score(NOTHING_LEARNED, rows.reshape(100, 2), (10, 10))

    assert found == pytest.approx(score)
