import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from blemish.engine.scorers import (
    BANK_ROWS,
    PROJECTED_WIDTH,
    MemoryBank,
    fit_memory_bank,
    image_score,
    random_projection,
    top_count,
)

SEEDS = st.integers(0, 2**31)


def clusters(seed: int, n: int, *, width: int = 6) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    middles = generator.normal(50, 3, (4, width))
    noise = generator.normal(0, 0.5, (n, width))
    return (middles[generator.integers(0, 4, n)] + noise).astype(np.float32)


@given(seed=SEEDS, rows=st.integers(1, 30), patches=st.integers(1, 30))
def test_a_patch_scores_its_distance_to_the_nearest_row(seed: int, rows: int, patches: int) -> None:
    known, queries = clusters(seed, rows), clusters(seed + 1, patches)
    center = known.mean(axis=0)
    bank = MemoryBank(center=center, rows=known - center)

    scores = bank.patch_scores(queries)

    np.testing.assert_allclose(scores, cdist(queries, known).min(axis=1), atol=1e-2, rtol=1e-3)


def test_patches_that_the_bank_was_fitted_to_score_nothing() -> None:
    embeddings = clusters(3, 300)

    bank = fit_memory_bank(embeddings, generator=np.random.default_rng(0))

    assert len(bank.rows) == 300
    np.testing.assert_allclose(bank.patch_scores(embeddings), 0, atol=1e-2)


def test_a_bank_keeps_no_more_than_its_rows_and_covers_the_rest() -> None:
    embeddings = clusters(4, BANK_ROWS + 500, width=2)

    bank = fit_memory_bank(embeddings, generator=np.random.default_rng(0))

    assert bank.rows.shape == (BANK_ROWS, 2)
    assert bank.patch_scores(embeddings).max() < 0.2


def test_the_projection_keeps_distances_to_a_few_percent() -> None:
    generator = np.random.default_rng(0)
    embeddings = generator.standard_normal((40, 384), dtype=np.float32)

    projected = embeddings @ random_projection(384, seed=0)

    pairs = np.triu_indices(40, k=1)
    ratio = (cdist(projected, projected) / np.maximum(cdist(embeddings, embeddings), 1e-9))[pairs]
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    assert ratio.std() == pytest.approx(1 / np.sqrt(2 * PROJECTED_WIDTH), rel=0.2)


def test_the_projection_depends_on_seed_and_width_alone() -> None:
    first = random_projection(20, seed=1)

    assert (first == random_projection(20, seed=1)).all()
    assert (first != random_projection(20, seed=2)).any()


@given(seed=SEEDS, n=st.integers(1, 2_000))
def test_the_image_score_is_the_mean_of_the_top_percent(seed: int, n: int) -> None:
    scores = np.random.default_rng(seed).random(n, dtype=np.float32)

    score = image_score(scores)

    assert score == pytest.approx(np.sort(scores)[::-1][: top_count(n)].mean(), rel=1e-5)


@pytest.mark.parametrize(("patches", "count"), [(1, 1), (149, 1), (151, 2), (768, 8), (1_024, 10)])
def test_the_top_percent_is_rounded_and_never_empty(patches: int, count: int) -> None:
    assert top_count(patches) == count
