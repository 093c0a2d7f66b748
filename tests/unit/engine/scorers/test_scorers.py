import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from blemish.engine.scorers.moments import Moments
from blemish.engine.scorers.scorers import (
    BANK,
    BANK_ROWS,
    PROJECTED_WIDTH,
    MemoryBank,
    bank_projections,
    fit_image_gaussian,
    fit_memory_bank,
    fit_subspace,
    image_score,
    pooled_embedding,
    random_projection,
    top_count,
    whitening_of,
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
    bank = MemoryBank(
        projection=np.eye(known.shape[1], dtype=np.float32), center=center, rows=known - center
    )

    scores = bank.patch_scores(queries)

    np.testing.assert_allclose(scores, cdist(queries, known).min(axis=1), atol=1e-2, rtol=1e-3)


def test_patches_that_the_bank_was_fitted_to_score_nothing() -> None:
    embeddings = clusters(3, 300)

    same = np.eye(embeddings.shape[1], dtype=np.float32)
    bank = fit_memory_bank(embeddings, same, generator=np.random.default_rng(0))

    assert len(bank.rows) == 300
    np.testing.assert_allclose(bank.patch_scores(embeddings), 0, atol=1e-2)


def test_a_bank_keeps_no_more_than_its_rows_and_covers_the_rest() -> None:
    embeddings = clusters(4, BANK_ROWS + 500, width=2)

    same = np.eye(embeddings.shape[1], dtype=np.float32)
    bank = fit_memory_bank(embeddings, same, generator=np.random.default_rng(0))

    assert bank.rows.shape == (BANK_ROWS, 2)
    assert bank.patch_scores(embeddings).max() < 0.2


def test_whitened_every_direction_that_is_no_noise_counts_alike() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(0, [10.0, 1.0, 1e-4], (4_000, 3)).astype(np.float32)

    deviations = (rows @ whitening_of(rows)).std(axis=0)

    assert deviations[0] / deviations[1] == pytest.approx((100 / 103.4 * 4.4) ** 0.5, rel=0.1)
    assert deviations[2] < 1e-3


def test_a_layer_alone_is_projected_without_the_others() -> None:
    channels = {"layer2": slice(0, 5), "layer3": slice(5, 8)}

    found = bank_projections(channels, seed=0, alternatives=True)

    assert list(found) == [BANK, f"{BANK}, layer2 alone", f"{BANK}, layer3 alone"]
    assert found[BANK].all()
    assert found[f"{BANK}, layer2 alone"][:5].all()
    assert not found[f"{BANK}, layer2 alone"][5:].any()
    assert list(bank_projections(channels, seed=0, alternatives=False)) == [BANK]


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


def flat(seed: int, n: int) -> NDArray[np.float32]:
    """Return embeddings that vary in the first two of five directions only, about a middle."""
    spread = np.array([3, 2, 1e-3, 1e-3, 1e-3])
    return (np.random.default_rng(seed).normal(7, spread, (n, 5))).astype(np.float32)


def test_a_subspace_scores_what_leaves_it_and_not_what_moves_in_it() -> None:
    subspace = fit_subspace(Moments.of(flat(0, 500)))
    inside, outside = flat(1, 50), flat(1, 50)
    inside[:, 0] += 20
    outside[:, 3] += 4

    assert subspace.rest.shape == (5, 3)
    assert subspace.patch_scores(inside).max() < 0.05
    np.testing.assert_allclose(subspace.patch_scores(outside), 4, atol=0.05)


def test_a_subspace_of_one_value_scores_the_distance_to_it() -> None:
    subspace = fit_subspace(Moments.of(np.full((9, 3), 2, dtype=np.float32)))

    far = np.array([[2, 2, 6]], dtype=np.float32)
    assert subspace.rest.shape[0] == 3
    assert subspace.patch_scores(far)[0] <= 4.001


def test_a_image_is_scored_by_how_unusual_its_direction_is() -> None:
    generator = np.random.default_rng(0)
    spread = np.array([5, 1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    pooled = generator.normal(3, spread, (40, 8)).astype(np.float32)

    gaussian = fit_image_gaussian(pooled)

    usual, unusual = pooled.mean(axis=0).copy(), pooled.mean(axis=0).copy()
    usual[0] += 5
    unusual[4] += 5
    known, strange = gaussian.image_scores(np.stack([usual, unusual]))
    assert strange > 5 * known


@pytest.mark.parametrize("images", [1, 2, 5, 8, 9, 60])
def test_a_image_gaussian_is_the_mahalanobis_distance_with_a_ridge(images: int) -> None:
    generator = np.random.default_rng(images)
    pooled = generator.normal(3, 1, (images, 8)).astype(np.float32)
    queries = generator.normal(3, 2, (5, 8)).astype(np.float32)

    gaussian = fit_image_gaussian(pooled)

    offsets = queries.astype(np.float64) - gaussian.center
    ridge = np.cov(pooled.T.astype(np.float64), bias=True) if images > 1 else np.zeros((8, 8))
    ridge += gaussian.rest * np.eye(8)
    expected = np.sqrt(np.einsum("bi,ij,bj->b", offsets, np.linalg.inv(ridge), offsets))
    np.testing.assert_allclose(gaussian.image_scores(queries), expected, rtol=5e-3)


def test_pooling_gives_mean_and_deviation_of_each_channel() -> None:
    embeddings = clusters(5, 300)

    pooled = pooled_embedding(embeddings)

    np.testing.assert_allclose(pooled[:6], embeddings.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(pooled[6:], embeddings.std(axis=0), rtol=1e-2)
