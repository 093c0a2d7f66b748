import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize

from blemish.engine.training.calibration import (
    FALSE_ALARM_RATE,
    MARGIN,
    MIN_ANOMALIES,
    MOST_FALSE_ALARMS,
    calibrate,
    normal_limit,
    platt_scaling,
)

SEEDS = st.integers(0, 2**31)


def scored(
    seed: int, normal: int, anomalous: int, *, gap: float = 2.0
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Draw scores of held-out images; anomalies score higher by `gap` deviations on average."""
    generator = np.random.default_rng(seed)
    truth = np.arange(normal + anomalous) >= normal
    return 10 + generator.standard_normal(len(truth)) + gap * truth, truth


def test_ten_anomalies_put_the_threshold_where_f1_is_best() -> None:
    normal, anomalous = np.linspace(1, 2, 20), np.linspace(4, 5, MIN_ANOMALIES)
    scores = np.concatenate([normal, anomalous])

    calibration = calibrate(scores, scores > 3)

    assert calibration.threshold == pytest.approx(3)
    assert calibration.notes == ()


@given(seed=SEEDS, anomalous=st.integers(1, MIN_ANOMALIES - 1), gap=st.floats(-3, 6))
def test_fewer_anomalies_never_raise_the_threshold(seed: int, anomalous: int, gap: float) -> None:
    scores, truth = scored(seed, 30, anomalous, gap=gap)

    with_anomalies = calibrate(scores, truth)
    without = calibrate(scores[~truth], truth[~truth])

    assert with_anomalies.threshold <= without.threshold


def test_a_few_clear_anomalies_lower_the_threshold_to_the_middle_of_the_gap() -> None:
    scores = np.array([*np.linspace(1, 2, 9), 9.0, 2.1, 2.2])
    truth = np.array([False] * 10 + [True] * 2)

    threshold = calibrate(scores, truth).threshold

    assert threshold == pytest.approx(2.05)


@given(seed=SEEDS, normal=st.integers(2, 60), anomalous=st.integers(1, MIN_ANOMALIES - 1))
def test_few_anomalies_that_look_normal_call_at_most_a_tenth_of_normal_images_anomalous(
    seed: int, normal: int, anomalous: int
) -> None:
    scores, truth = scored(seed, normal, anomalous, gap=0)

    threshold = np.float32(calibrate(scores, truth).threshold)

    above = np.float32(scores[~truth]) >= threshold
    assert above.sum() <= MOST_FALSE_ALARMS * normal


@pytest.mark.parametrize("normal", [12, 25])
def test_where_few_anomalies_decide_a_note_says_so(normal: int) -> None:
    scores = np.array([*np.linspace(1, 2, normal - 1), 9.0, 2.1, 2.2, 9.5])
    truth = np.arange(len(scores)) >= normal

    calibration = calibrate(scores, truth)

    assert calibration.threshold == pytest.approx(2.05)
    assert calibration.notes == (
        "The threshold tells the 3 labelled anomalies best from normal images, and promises no "
        f"rate of false alarms: 1 of {normal} normal images that were held out lie above it.",
    )


@pytest.mark.parametrize("n", [19, 20, 39, 50, 200])
def test_false_alarms_stay_below_the_promised_rate(n: int) -> None:
    generator = np.random.default_rng(n)

    thresholds = [normal_limit(generator.random(n))[0] for _ in range(4_000)]

    # A uniform score passes the threshold t with probability 1 - t.
    assert 1 - np.mean(thresholds) <= FALSE_ALARM_RATE + 0.003
    assert 1 - np.mean(thresholds) >= FALSE_ALARM_RATE - 1 / (n + 1) - 0.003


def test_the_image_at_the_limit_itself_is_no_false_alarm() -> None:
    scores = np.linspace(0.1, 0.9, 19)

    threshold, notes = normal_limit(scores)

    assert np.float32(threshold) > np.float32(scores.max())
    assert notes == ()


@pytest.mark.parametrize("n", [2, 18])
def test_too_few_normal_images_give_a_margin_and_no_promise(n: int) -> None:
    scores = np.linspace(3, 4, n)

    threshold, notes = normal_limit(scores)

    assert threshold == pytest.approx(MARGIN * 4)
    assert f"With {n} normal images no rate of false alarms can be promised (19 are" in notes[0]


def test_the_note_is_passed_on_only_while_normal_images_decide() -> None:
    few, _ = scored(0, 12, 0)
    many, truth = scored(0, 12, MIN_ANOMALIES)

    assert len(calibrate(few, np.zeros(12, dtype=np.bool_)).notes) == 1
    assert calibrate(many, truth).notes == ()


@given(seed=SEEDS, normal=st.integers(1, 60), anomalous=st.integers(1, 60), gap=st.floats(0.5, 6))
def test_platt_scaling_minimises_the_cross_entropy(
    seed: int, normal: int, anomalous: int, gap: float
) -> None:
    scores, truth = scored(seed, normal, anomalous, gap=gap)
    targets = np.where(truth, (anomalous + 1) / (anomalous + 2), 1 / (normal + 2))

    def loss(parameters: NDArray[np.float64]) -> float:
        logits = parameters[0] * (scores - 10) + parameters[1]
        return float((np.logaddexp(0, logits) - targets * logits).sum())

    slope, midpoint = platt_scaling(scores, truth)

    best = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"maxiter": 4_000})
    ours = loss(np.array([slope, slope * (10 - midpoint)]))
    assert slope > 0
    if best.x[0] > 0:  # else anomalies score lower, and ours is flat
        assert ours <= best.fun + 1e-3


@given(seed=SEEDS, scale=st.floats(1e-3, 1e3))
def test_confidence_does_not_depend_on_the_scale_of_scores(seed: int, scale: float) -> None:
    scores, truth = scored(seed, 20, 15)

    slope, midpoint = platt_scaling(scores, truth)
    scaled_slope, scaled_midpoint = platt_scaling(scores * scale, truth)

    assert scaled_slope * scale == pytest.approx(slope, rel=1e-3)
    assert scaled_midpoint / scale == pytest.approx(midpoint, rel=1e-3)


def test_labels_that_scores_separate_give_a_finite_slope() -> None:
    scores = np.array([1.0, 1.1, 1.2, 9.0, 9.1, 9.2])

    slope, midpoint = platt_scaling(scores, scores > 5)

    sure = 1 / (1 + np.exp(-slope * (9.1 - midpoint)))
    assert 0.7 < sure < 0.9  # (3 + 1) / (3 + 2): three images prove no more


def test_anomalies_that_score_lower_give_a_flat_confidence() -> None:
    scores, truth = scored(1, 30, 30, gap=-4)

    slope, _ = platt_scaling(scores, truth)

    assert 0 < slope < 1e-3


def test_equal_scores_are_calibrated_too() -> None:
    scores = np.full(25, 3.0)

    calibration = calibrate(scores, np.arange(25) >= 15)

    assert np.isfinite([calibration.slope, calibration.midpoint, calibration.threshold]).all()


def test_without_anomalies_the_confidence_turns_at_the_threshold() -> None:
    scores, truth = scored(5, 40, 0)

    calibration = calibrate(scores, truth)

    assert calibration.midpoint == calibration.threshold
    typical = calibration.slope * (np.median(scores) - calibration.midpoint)
    assert 1 / (1 + np.exp(-typical)) < 0.1
