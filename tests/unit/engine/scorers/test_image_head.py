import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from blemish.engine.scorers.image_head import fit_image_head


def test_an_image_head_tells_labels_apart_that_differ_in_one_direction() -> None:
    generator = np.random.default_rng(0)
    normal = list(generator.normal(0, 1, (20, 12)).astype(np.float32))
    shift = np.eye(12, dtype=np.float32)[3] * 4
    anomalous = list(generator.normal(0, 1, (9, 12)).astype(np.float32) + shift)

    head = fit_image_head(normal, anomalous)

    fresh = generator.normal(0, 1, (50, 12)).astype(np.float32)
    assert (head.image_scores(fresh + shift) > 0).mean() > 0.8
    assert (head.image_scores(fresh) < 0).mean() > 0.8


@pytest.mark.parametrize(
    ("normals", "anomalies", "width"),
    [(20, 9, 12), (60, 3, 12), (9, 5, 200), (120, 40, 200), (900, 40, 12)],
)
def test_an_image_head_is_the_balanced_logistic_regression(
    normals: int, anomalies: int, width: int
) -> None:
    generator = np.random.default_rng(normals)
    features = generator.normal(3, 2, (normals + anomalies, width)).astype(np.float32)
    features[normals:, 3] += 5
    truth = np.arange(len(features)) >= normals

    head = fit_image_head(list(features[:normals]), list(features[normals:]))

    standardised = (features - features.mean(axis=0)) / features.std(axis=0) / width**0.5
    theirs = LogisticRegression(
        C=10, class_weight="balanced", solver="newton-cholesky", tol=1e-10
    ).fit(standardised.astype(np.float64), truth)
    expected = theirs.decision_function(standardised.astype(np.float64))
    assert head.image_scores(features) == pytest.approx(expected, abs=2e-3)


def test_an_image_head_of_images_that_are_all_alike_says_neither() -> None:
    same = [np.ones(8, dtype=np.float32)] * 4

    head = fit_image_head(same, same[:2])

    assert head.image_scores(np.stack(same)) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(("images", "width", "most"), [(8_000, 128, 1), (600, 640, 8)])
def test_an_image_head_of_many_images_is_fitted_in_little_memory(
    images: int, width: int, most: float
) -> None:
    generator = np.random.default_rng(0)
    features = generator.normal(0, 1, (images, width)).astype(np.float32)
    normal, anomalous = list(features[100:]), list(features[:100])
    tracemalloc.start()

    fit_image_head(normal, anomalous)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < most * features.nbytes
