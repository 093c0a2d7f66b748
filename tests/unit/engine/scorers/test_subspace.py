import numpy as np
from numpy.typing import NDArray

from blemish.engine.scorers.moments import Moments
from blemish.engine.scorers.subspace import fit_subspace


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
