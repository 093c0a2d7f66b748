from __future__ import annotations

import numpy as np
import pytest

from blemish.engine.images.appearance import appearance
from blemish.engine.normal_images import (
    EMBEDDING_DISTANCE,
    MEDIAN_OF,
    embedding_reference,
    measured_range,
    normal_images,
)


@pytest.mark.parametrize(("count", "rate"), [(10, 3.5e-3), (40, 2e-6), (250, 1e-9)])
def test_medians_of_the_same_distribution_stay_in_the_range(count: int, rate: float) -> None:
    generator = np.random.default_rng(0)
    repetitions = 4_000
    outside = 0

    for _ in range(repetitions):
        entry = measured_range(generator.exponential(size=count))
        outside += bool(np.median(generator.exponential(size=MEDIAN_OF)) < entry.low)

    assert outside <= repetitions * rate + 4 * np.sqrt(repetitions * rate) + 1


def test_a_few_outliers_do_not_widen_the_range_of_many_images() -> None:
    values = np.concatenate([np.linspace(0.4, 0.6, 245), [0.0, 0.01, 0.02, 0.99, 1.0]])

    entry = measured_range(values)

    assert 0.4 <= entry.low < 0.5 < entry.high <= 0.6


def test_an_image_of_the_training_is_no_nearer_than_another_one() -> None:
    generator = np.random.default_rng(1)
    embeddings = generator.normal(size=(60, 512)).astype(np.float32)
    training, later = embeddings[:20], embeddings[20:]
    look = appearance(np.zeros((64, 64, 3), dtype=np.uint8))

    normal = normal_images([look] * 20, training, scores=np.ones(20))

    reference = embedding_reference(training)
    distances = np.sqrt(np.square((later - reference.mean) / reference.deviation).mean(axis=1))
    assert normal is not None
    middle = normal.ranges[EMBEDDING_DISTANCE].middle
    assert middle == pytest.approx(np.median(distances), rel=0.06)


def test_few_normal_images_are_compared_with_nothing() -> None:
    look = appearance(np.zeros((64, 64, 3), dtype=np.uint8))

    assert normal_images([look] * 9, np.zeros((9, 4), np.float32), scores=np.ones(9)) is None
