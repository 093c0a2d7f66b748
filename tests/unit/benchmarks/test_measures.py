from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as log_loss_of_sklearn

from benchmarks.measures import (
    brier_score,
    calibration_error,
    compared_map,
    compared_mask,
    compared_size,
    interval,
    log_loss,
    pixel_measures,
)

TRUTH = np.array([False, False, True, True, True])
PROBABILITY = np.array([0.1, 0.4, 0.35, 0.8, 0.99])


def test_the_interval_is_wider_than_students_as_splits_share_their_images() -> None:
    found = interval([0.01, 0.03, 0.02, 0.05, 0.04])

    assert found.mean == pytest.approx(0.03)
    assert found.half == pytest.approx(2.7764 * 0.015811 / 5**0.5 * 6**0.5, rel=1e-3)


def test_the_interval_of_five_splits_covers_the_true_difference_in_19_of_20_cases() -> None:
    """Two detectors are equally good, and each case has 60 normal images and 70 anomalies."""
    generator, cases, covered = np.random.default_rng(0), 1_500, 0

    for _ in range(cases):
        scores = generator.standard_normal((2, 130)) + 0.7 * generator.standard_normal(130)
        right = scores[:, 60:, np.newaxis] + 1 > scores[:, np.newaxis, :60]
        better = right[0].astype(float) - right[1]  # its mean is the difference of image AUROC
        halves = [
            (generator.permutation(70)[35:], generator.permutation(60)[30:]) for _ in range(5)
        ]
        found = interval([float(better[np.ix_(*half)].mean()) for half in halves])
        covered += abs(found.mean) <= (found.half or 0)

    assert 0.94 <= covered / cases <= 0.97


def test_one_value_has_no_interval() -> None:
    assert interval([0.5]) == (0.5, None)


def test_brier_score_and_log_loss_are_those_of_scikit_learn() -> None:
    assert brier_score(TRUTH, PROBABILITY) == pytest.approx(brier_score_loss(TRUTH, PROBABILITY))
    assert log_loss(TRUTH, PROBABILITY) == pytest.approx(log_loss_of_sklearn(TRUTH, PROBABILITY))


def test_a_certain_mistake_costs_a_finite_loss() -> None:
    assert log_loss(np.array([True]), np.array([0.0])) == pytest.approx(-np.log(1e-6))


def test_confidence_that_is_right_as_often_as_it_says_has_no_calibration_error() -> None:
    confidence = np.repeat([0.55, 0.95], 200)
    right = np.r_[np.arange(200) < 110, np.arange(200) < 190]

    assert calibration_error(right, confidence) == pytest.approx(0.0)
    assert calibration_error(right, np.full(400, 1.0)) == pytest.approx(0.25)


def test_up_to_200_images_there_is_no_calibration_error() -> None:
    assert calibration_error(np.ones(200, dtype=bool), np.ones(200)) is None
    assert calibration_error(np.ones(201, dtype=bool), np.ones(201)) == 0.0


def test_large_masks_and_maps_are_compared_at_256_pixels() -> None:
    mask = np.zeros((512, 1_024), dtype=bool)
    mask[:128, :512] = True

    small = compared_mask(mask, (1_024, 512))
    anomaly_map = compared_map(np.ones((32, 64), dtype=np.float32), (1_024, 512))

    assert small.shape == anomaly_map.shape == (128, 256)
    assert small[:32, :128].all()
    assert small.sum() == 32 * 128


def test_small_images_keep_their_size() -> None:
    assert compared_size((128, 100)) == (128, 100)


def test_a_map_that_is_its_mask_is_perfect() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[5:9, 5:9] = True

    found = pixel_measures([mask, ~mask & False], [mask.astype(float), np.zeros((20, 20))])

    assert found == {"pixel_auroc": 1.0, "aupro_30": pytest.approx(1.0), "aupro_05": 1.0}


def test_without_a_mask_pixels_are_not_measured() -> None:
    nothing = np.zeros((4, 4), dtype=bool)

    assert set(pixel_measures([nothing], [np.zeros((4, 4))]).values()) == {None}
    assert set(pixel_measures([], []).values()) == {None}
