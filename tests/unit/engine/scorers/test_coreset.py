from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from blemish.engine.scorers.coreset import select_coreset

SEEDS = st.integers(0, 2**31)


def covering_radius(embeddings: NDArray[np.float32], rows: Sequence[int]) -> float:
    """Distance from the worst-covered embedding to the nearest chosen one."""
    return float(cdist(embeddings, embeddings[list(rows)]).min(axis=1).max())


@given(seed=SEEDS, n=st.integers(1, 40), share=st.floats(0, 1))
def test_rows_are_distinct_even_among_duplicates(seed: int, n: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    embeddings = generator.integers(0, 2, (n, 3)).astype(np.float32)  # mostly duplicates
    size = max(1, round(share * n))

    rows = select_coreset(embeddings, size, generator=generator)

    assert len(set(rows.tolist())) == size


@given(seed=SEEDS, size=st.integers(1, 4))
def test_the_radius_is_at_most_twice_the_best_possible(seed: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    embeddings = generator.standard_normal((9, 2), dtype=np.float32)
    best = min(covering_radius(embeddings, rows) for rows in combinations(range(9), size))

    rows = select_coreset(embeddings, size, generator=generator)

    assert covering_radius(embeddings, rows.tolist()) <= 2 * best + 1e-4


@given(seed=SEEDS)
def test_every_row_is_the_one_farthest_from_those_before(seed: int) -> None:
    generator = np.random.default_rng(seed)
    embeddings = 100 + generator.standard_normal((60, 5), dtype=np.float32)

    rows = select_coreset(embeddings, 12, generator=generator)

    for i in range(1, len(rows)):
        to_chosen = cdist(embeddings, embeddings[rows[:i]]).min(axis=1)
        assert to_chosen[rows[i]] == pytest.approx(to_chosen.max(), rel=1e-3)


def test_so_is_every_row_of_a_large_selection_from_clusters() -> None:
    generator = np.random.default_rng(0)
    clusters = 10 * generator.standard_normal((30, 8), dtype=np.float32)
    spread = generator.standard_normal((7_000, 8), dtype=np.float32)
    embeddings = clusters[generator.integers(30, size=7_000)] + spread

    rows = select_coreset(embeddings, 800, generator=generator)

    nearest = np.minimum.accumulate(cdist(embeddings, embeddings[rows]), axis=1)
    reached = nearest[rows[1:], np.arange(len(rows) - 1)]
    np.testing.assert_allclose(reached, nearest[:, :-1].max(axis=0), rtol=1e-3)


def test_rows_are_distinct_when_many_are_taken_of_few_different_ones() -> None:
    generator = np.random.default_rng(0)
    embeddings = generator.integers(0, 3, (5_000, 4)).astype(np.float32)

    rows = select_coreset(embeddings, 4_500, generator=generator)

    assert len(set(rows.tolist())) == 4_500
    assert len(np.unique(embeddings[rows[:81]], axis=0)) == 81  # all that there are, first


def test_the_same_state_of_the_generator_gives_the_same_coreset() -> None:
    embeddings = np.random.default_rng(0).standard_normal((200, 8), dtype=np.float32)

    first = select_coreset(embeddings, 50, generator=np.random.default_rng(1))
    second = select_coreset(embeddings, 50, generator=np.random.default_rng(1))

    assert first.tolist() == second.tolist()


@pytest.mark.parametrize("size", [0, 4])
def test_a_size_that_the_rows_do_not_allow_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=rf"size must be in \[1, 3\], got {size}"):
        select_coreset(np.zeros((3, 2), np.float32), size, generator=np.random.default_rng(0))
