import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from blemish.engine.scorers.memory_bank import (
    BANK_ROWS,
    LAYER_BANKS,
    MEMORY_BANK,
    PRINCIPAL_WIDTH,
    PROJECTED_WIDTH,
    JoinedBanks,
    MemoryBank,
    bank_projections,
    fit_memory_bank,
    random_projection,
    whitening_matrix,
)
from blemish.engine.scorers.moments import Moments
from blemish.engine.scorers.scorer import FittingData

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

    deviations = (rows @ whitening_matrix(rows)).std(axis=0)

    assert deviations[0] / deviations[1] == pytest.approx((100 / 103.4 * 4.4) ** 0.5, rel=0.1)
    assert deviations[2] < 1e-3


def test_a_layer_alone_is_projected_without_the_others() -> None:
    channels = {"layer2": slice(0, 5), "layer3": slice(5, 8)}

    projections = bank_projections(channels, seed=0, alternatives=True)

    names = [scorer.name for scorer in (MEMORY_BANK, *LAYER_BANKS)]
    assert list(projections) == names
    assert projections[names[0]].all()
    assert projections[names[1]][:5].all()
    assert not projections[names[1]][5:].any()
    assert list(bank_projections(channels, seed=0, alternatives=False)) == names[:1]


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


def test_joined_networks_score_by_the_geometric_mean_of_their_distances() -> None:
    known, queries = clusters(6, 200, width=8), clusters(7, 50, width=8)
    parts = {"first": slice(0, 3), "second": slice(3, 8)}
    projections = bank_projections(parts, networks=parts, seed=0, alternatives=False)
    columns = {"first": slice(PROJECTED_WIDTH), "second": slice(PROJECTED_WIDTH, None)}

    bank = MEMORY_BANK.fit(fitting_data(known, projections))

    assert isinstance(bank, JoinedBanks)
    distances = []
    for name, part in parts.items():
        projection = projections[MEMORY_BANK.name][part, columns[name]]
        distances.append(
            cdist(queries[:, part] @ projection, known[:, part] @ projection).min(axis=1)
        )
    expected = np.sqrt(distances[0] * distances[1])
    np.testing.assert_allclose(bank.patch_scores(queries), expected, atol=0.05, rtol=0.02)


def test_the_bank_compares_principal_directions() -> None:
    known, part = clusters(8, 300, width=80), {"layer2": slice(0, 80)}
    projections = bank_projections(part, seed=0, alternatives=False)
    projection = projections[MEMORY_BANK.name]

    narrow = MEMORY_BANK.fit(fitting_data(known, projections))

    assert isinstance(narrow, MemoryBank)
    assert narrow.rows.shape[1] == PRINCIPAL_WIDTH
    wide = fit_memory_bank(known @ projection, projection, generator=np.random.default_rng(0))
    queries = clusters(9, 50, width=80)
    correlation = np.corrcoef(wide.patch_scores(queries), narrow.patch_scores(queries))[0, 1]
    assert correlation > 0.9


def fitting_data(
    known: NDArray[np.float32], projections: dict[str, NDArray[np.float32]]
) -> FittingData:
    """Return patches of normal images."""
    return FittingData(
        projections=projections,
        candidates={name: known @ projection for name, projection in projections.items()},
        moments=Moments.none(known.shape[1]),
        pooled={},
        images=[],
        generator=np.random.default_rng(0),
        fitted={},
    )
