import numpy as np
import pytest

from blemish.engine.scorers.image_gaussian import fit_image_gaussian


def test_an_image_is_scored_by_how_unusual_its_direction_is() -> None:
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
def test_an_image_gaussian_is_the_mahalanobis_distance_with_a_ridge(images: int) -> None:
    generator = np.random.default_rng(images)
    pooled = generator.normal(3, 1, (images, 8)).astype(np.float32)
    queries = generator.normal(3, 2, (5, 8)).astype(np.float32)

    gaussian = fit_image_gaussian(pooled)

    offsets = queries.astype(np.float64) - gaussian.center
    ridge = np.cov(pooled.T.astype(np.float64), bias=True) if images > 1 else np.zeros((8, 8))
    ridge += gaussian.rest * np.eye(8)
    expected = np.sqrt(np.einsum("bi,ij,bj->b", offsets, np.linalg.inv(ridge), offsets))
    np.testing.assert_allclose(gaussian.image_scores(queries), expected, rtol=5e-3)
