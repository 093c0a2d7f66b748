from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn

from blemish.engine.metrics import (
    average_precision,
    best_f1_threshold,
    intersection_over_union,
    precision_recall_f1,
    roc_auc,
)

Booleans = NDArray[np.bool_]
Scores = NDArray[np.floating[Any]]
SEEDS = st.integers(0, 2**31)
KINDS = st.sampled_from(["all different", "many ties", "one value", "float32"])


def scored(seed: int, size: int, kind: str) -> tuple[Booleans, Scores]:
    """Draw truth and scores (size,); anomalies score higher on average."""
    generator = np.random.default_rng(seed)
    truth = generator.random(size) < generator.random()
    scores = generator.standard_normal(size) + truth
    match kind:
        case "many ties":
            return truth, scores.round()
        case "one value":
            return truth, np.full(size, 0.5)
        case "float32":
            return truth, scores.astype(np.float32)
        case _:
            return truth, scores


def booleans(*values: int) -> Booleans:
    return np.array(values, dtype=np.bool_)


def test_precision_recall_and_f1_of_a_counted_case() -> None:
    truth = booleans(1, 1, 1, 0, 0, 0, 0, 0)
    verdicts = booleans(1, 1, 0, 1, 1, 0, 0, 0)

    assert precision_recall_f1(truth, verdicts) == (2 / 4, 2 / 3, 4 / 7)


@pytest.mark.parametrize(
    ("truth", "verdicts", "expected"),
    [
        (booleans(0, 0), booleans(0, 0), (None, None, None)),
        (booleans(0, 0), booleans(0, 1), (0.0, None, 0.0)),
        (booleans(0, 1), booleans(0, 0), (None, 0.0, 0.0)),
        (booleans(0, 1), booleans(1, 0), (0.0, 0.0, 0.0)),
        (booleans(1, 1), booleans(1, 1), (1.0, 1.0, 1.0)),
        (booleans(), booleans(), (None, None, None)),
    ],
)
def test_what_is_undefined_is_none(
    truth: Booleans, verdicts: Booleans, expected: tuple[float | None, ...]
) -> None:
    assert precision_recall_f1(truth, verdicts) == expected


@given(seed=SEEDS, size=st.integers(1, 60))
def test_precision_recall_and_f1_agree_with_scikit_learn(seed: int, size: int) -> None:
    truth, scores = scored(seed, size, "all different")
    verdicts = scores >= 0.5
    assume(truth.any() and verdicts.any())

    ours = precision_recall_f1(truth, verdicts)

    theirs = sklearn.precision_recall_fscore_support(truth, verdicts, average="binary")
    assert ours == pytest.approx(theirs[:3])


@given(seed=SEEDS, size=st.integers(2, 60), kind=KINDS)
def test_roc_auc_agrees_with_scikit_learn(seed: int, size: int, kind: str) -> None:
    truth, scores = scored(seed, size, kind)
    assume(truth.any() and not truth.all())

    assert roc_auc(truth, scores) == pytest.approx(sklearn.roc_auc_score(truth, scores))


@given(seed=SEEDS, size=st.integers(1, 60), kind=KINDS)
def test_average_precision_agrees_with_scikit_learn(seed: int, size: int, kind: str) -> None:
    truth, scores = scored(seed, size, kind)
    assume(truth.any())

    ours = average_precision(truth, scores)

    assert ours == pytest.approx(sklearn.average_precision_score(truth, scores))


def test_roc_auc_and_average_precision_of_counted_cases() -> None:
    truth, scores = booleans(1, 0, 1, 0), np.array([0.9, 0.8, 0.8, 0.1])

    assert roc_auc(truth, scores) == (1 + 1 + 0.5 + 1) / 4
    assert average_precision(truth, scores) == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)


def test_roc_auc_and_average_precision_of_one_kind_alone_are_none() -> None:
    scores = np.array([0.1, 0.2])

    assert roc_auc(booleans(0, 0), scores) is None
    assert roc_auc(booleans(1, 1), scores) is None
    assert average_precision(booleans(0, 0), scores) is None
    assert average_precision(booleans(1, 1), scores) == 1.0


@given(seed=SEEDS)
def test_pixels_are_measured_like_images(seed: int) -> None:
    truth, scores = scored(seed, 24, "many ties")

    shape = (2, 3, 4)
    assert roc_auc(truth.reshape(shape), scores.reshape(shape)) == roc_auc(truth, scores)
    assert average_precision(truth.reshape(shape), scores.reshape(shape)) == average_precision(
        truth, scores
    )


def f1_at(threshold: float, truth: Booleans, scores: Scores) -> float:
    f1 = precision_recall_f1(truth, scores >= threshold).f1
    assert f1 is not None
    return f1


@given(seed=SEEDS, size=st.integers(1, 40), kind=KINDS)
def test_no_threshold_has_a_better_f1(seed: int, size: int, kind: str) -> None:
    truth, scores = scored(seed, size, kind)
    assume(truth.any())

    threshold = best_f1_threshold(truth, scores)

    best = max(f1_at(float(score), truth, scores) for score in scores)
    assert f1_at(threshold, truth, scores) == best


@given(seed=SEEDS, size=st.integers(1, 40), kind=KINDS)
def test_the_threshold_is_halfway_between_two_scores_or_the_lowest(
    seed: int, size: int, kind: str
) -> None:
    truth, scores = scored(seed, size, kind)
    assume(truth.any())

    threshold = best_f1_threshold(truth, scores)

    lower, upper = scores[scores < threshold], scores[scores >= threshold]
    if len(lower):
        assert threshold == pytest.approx((float(lower.max()) + float(upper.min())) / 2)
    else:
        assert threshold == scores.min()


def test_of_several_best_thresholds_the_one_in_the_widest_gap_is_taken() -> None:
    truth = booleans(1, 0, 0, 1, 0)  # F1 is 2/3 with one called, and with four

    assert best_f1_threshold(truth, np.array([9.0, 7.0, 5.0, 4.0, 1.0])) == 2.5
    assert best_f1_threshold(truth, np.array([9.0, 5.0, 4.5, 4.0, 1.0])) == 7.0


def test_between_neighbouring_floats_the_threshold_is_the_upper_one() -> None:
    lower = np.float32(1.0)
    upper = np.nextafter(lower, np.float32(2.0))
    scores = np.array([lower, upper])

    threshold = best_f1_threshold(booleans(0, 1), scores)

    assert (scores >= np.float32(threshold)).tolist() == [False, True]


def test_a_threshold_for_f1_needs_an_anomaly() -> None:
    with pytest.raises(ValueError, match="needs an anomaly"):
        best_f1_threshold(booleans(0, 0), np.array([0.1, 0.2]))


def test_intersection_over_union_of_counted_cases() -> None:
    left, right, empty = np.zeros((3, 4, 4), dtype=np.bool_)
    left[:, :3] = True
    right[:, 1:] = True

    assert intersection_over_union(left, right) == 8 / 16
    assert intersection_over_union(left, empty) == 0.0
    assert intersection_over_union(empty, empty) is None
