import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import stdtrit

from blemish.engine.training.calibration import (
    AVERAGE_TAIL,
    BANK_TAIL,
    MIN_ANOMALIES,
    calibrate,
    normal_threshold,
    platt_scaling,
    rate_bound,
    student_probability,
    student_quantile,
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
def test_fewer_anomalies_do_not_move_the_threshold(seed: int, anomalous: int, gap: float) -> None:
    scores, truth = scored(seed, 30, anomalous, gap=gap)

    with_anomalies = calibrate(scores, truth)
    without = calibrate(scores[~truth], truth[~truth])

    assert with_anomalies.threshold == without.threshold


@pytest.mark.parametrize("rate", [0.05, 0.1])
@pytest.mark.parametrize("n", [10, 30, 80])
def test_further_normal_images_exceed_the_threshold_at_about_the_rate(rate: float, n: int) -> None:
    generator = np.random.default_rng(n)

    def draw(size: int) -> NDArray[np.float64]:
        return 1 + 0.1 * generator.gamma(4, 0.5, size)  # skewed, as scores are

    thresholds = [normal_threshold(draw(n), rate=rate) for _ in range(400)]

    realised = np.mean([(draw(500) > threshold).mean() for threshold in thresholds])
    assert 0.4 * rate <= realised <= 1.5 * rate


@given(seed=SEEDS, low=st.floats(0.005, 0.2), factor=st.floats(1.1, 4))
def test_a_higher_rate_never_raises_the_threshold(seed: int, low: float, factor: float) -> None:
    scores = 1 + 0.1 * np.random.default_rng(seed).standard_normal(20)

    tolerant = normal_threshold(scores, rate=low * factor)

    assert tolerant <= normal_threshold(scores, rate=low)


@given(seed=SEEDS, odd=st.floats(3, 1e6))
def test_one_odd_normal_image_hardly_moves_the_threshold(seed: int, odd: float) -> None:
    scores = 1 + 0.1 * np.random.default_rng(seed).standard_normal(30)

    moved = normal_threshold(np.array([*scores, odd]), rate=0.05)

    assert moved - normal_threshold(scores, rate=0.05) < 0.06  # 0.6 deviations


def test_the_gain_of_the_final_fit_lowers_the_threshold() -> None:
    scores, truth = scored(3, 30, 0)

    lower = calibrate(scores, truth, gain=0.25)

    assert lower.threshold == pytest.approx(calibrate(scores, truth).threshold - 0.25)
    assert lower.threshold + lower.gain == pytest.approx(calibrate(scores, truth).threshold)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_very_few_normal_images_give_a_threshold_above_all_of_them(n: int) -> None:
    scores = 1 + 0.05 * np.arange(n, dtype=np.float64)

    assert normal_threshold(scores, rate=0.05) > scores.max()


def test_the_promised_rate_and_its_uncertainty_are_said_only_while_normal_images_decide() -> None:
    few, _ = scored(0, 30, 0)
    many, truth = scored(0, 12, MIN_ANOMALIES)

    [note] = calibrate(few, np.zeros(30, dtype=np.bool_)).notes

    assert note == (
        "The threshold is set for 5% false alarms, estimated from 30 normal images; in nine of ten "
        f"cases they stay below {rate_bound(30, rate=0.05):.0%}."
    )
    assert calibrate(many, truth).notes == ()


def test_more_images_and_a_lower_rate_lower_the_bound_of_the_rate() -> None:
    bounds = [rate_bound(n, rate=0.05) for n in (10, 30, 80, 1_000)]

    assert 0.15 > bounds[0] > bounds[1] > bounds[2] > bounds[3] > 0.05
    assert rate_bound(30, rate=0.01) < bounds[1] < rate_bound(30, rate=0.1)


@given(st.floats(0.001, 0.999))
def test_students_distribution_is_scipys(probability: float) -> None:
    quantile = student_quantile(probability)

    assert quantile == pytest.approx(stdtrit(4, probability), rel=1e-6, abs=1e-6)
    assert student_probability(quantile) == pytest.approx(probability, abs=1e-9)


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
    scores = 1 + 0.1 * (scores - 10)

    calibration = calibrate(scores, truth)

    assert calibration.midpoint == calibration.threshold
    typical = calibration.slope * (np.median(scores) - calibration.midpoint)
    assert 1 / (1 + np.exp(-typical)) < 0.2


def test_a_bank_alone_has_a_higher_threshold_for_the_same_scores() -> None:
    scores, normal = np.linspace(0.8, 1.2, 40), np.zeros(40, dtype=np.bool_)

    average = calibrate(scores, normal, bank_alone=False)
    bank = calibrate(scores, normal, bank_alone=True)

    assert bank.threshold > average.threshold + 0.02


def test_a_bank_alone_trusts_the_unit_of_its_scores_more_than_few_images() -> None:
    narrow, wide = np.linspace(0.9, 1.1, 10), np.linspace(0.7, 1.3, 10)

    differences = [
        normal_threshold(wide, rate=0.05, tail=tail)
        - normal_threshold(narrow, rate=0.05, tail=tail)
        for tail in (BANK_TAIL, AVERAGE_TAIL)
    ]

    assert 0 < differences[0] < differences[1] / 2


def test_a_strict_rate_that_few_images_cannot_show_is_said_to_be_derived() -> None:
    scores, normal = np.linspace(0.8, 1.2, 30), np.zeros(30, dtype=np.bool_)

    (strict,) = calibrate(scores, normal, rate=0.01).notes
    (balanced,) = calibrate(scores, normal, rate=0.05).notes

    assert "set for 1% false alarms, estimated from 30 normal images" in strict
    assert strict.endswith("So few images show no rate of 1%: it follows from how much they vary.")
    assert "So few" not in balanced


def test_a_sensitivity_that_labels_make_useless_is_said_to_be_unused() -> None:
    scores, anomalous = np.linspace(0, 2, 20), np.arange(20) >= 10

    assert calibrate(scores, anomalous, rate=0.01).notes == (
        "The sensitivity is not used: 10 labelled anomalies set the threshold.",
    )
    assert calibrate(scores, anomalous).notes == ()
