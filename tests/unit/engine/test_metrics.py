from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from sklearn import metrics as sklearn

from blemish.engine.metrics import (
    aupro,
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


def brute_force_aupro(
    masks: Sequence[Booleans], maps: Sequence[Scores], *, fpr_limit: float
) -> float:
    """Follow the definition, one threshold after the other, on a fine grid of false alarms."""
    points = [(0.0, 0.0)]
    for threshold in sorted({value for each in maps for value in each.ravel()}, reverse=True):
        overlaps: list[float] = []
        alarms, normal = 0, 0
        for mask, each in zip(masks, maps, strict=True):
            regions, count = ndimage.label(mask, structure=np.ones((3, 3)))
            overlaps += [
                float((each >= threshold)[regions == r].mean()) for r in range(1, count + 1)
            ]
            alarms += int(((each >= threshold) & ~mask).sum())
            normal += int((~mask).sum())
        points.append((alarms / normal, float(np.mean(overlaps))))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= fpr_limit or x0 == x1:
            continue
        end = min(x1, fpr_limit)
        y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
        area += (end - x0) * (y0 + y_end) / 2
    return area / fpr_limit


@given(
    seed=SEEDS,
    levels=st.sampled_from([2, 5, 1_000]),
    fpr_limit=st.sampled_from([0.05, 0.3, 0.5, 1.0]),
)
def test_aupro_follows_the_definition(seed: int, levels: int, fpr_limit: float) -> None:
    generator = np.random.default_rng(seed)
    shapes = [(5, 6), (7, 4)]  # images may differ in size
    masks = [generator.random(shape) < 0.3 for shape in shapes]
    maps = [generator.integers(0, levels, shape).astype(np.float64) for shape in shapes]
    assume(any(mask.any() for mask in masks))

    ours = aupro(masks, maps, fpr_limit=fpr_limit)

    assert ours == pytest.approx(brute_force_aupro(masks, maps, fpr_limit=fpr_limit))


def test_aupro_counts_a_small_region_as_much_as_a_large_one() -> None:
    mask = np.zeros((10, 10), dtype=np.bool_)
    mask[0, 0] = True
    mask[4:9, 4:9] = True
    only_small = np.where(mask, 0.0, 0.5)
    only_small[0, 0] = 1.0
    only_large = np.where(mask, 1.0, 0.5)
    only_large[0, 0] = 0.0

    assert aupro([mask], [only_small]) == pytest.approx(aupro([mask], [only_large]))


def test_aupro_of_a_perfect_map_is_one_and_of_an_inverse_one_zero() -> None:
    mask = np.zeros((8, 8), dtype=np.bool_)
    mask[2:4, 3:6] = True
    generator = np.random.default_rng(0)
    noise = generator.random((8, 8))

    assert aupro([mask], [noise + mask]) == pytest.approx(1.0)
    assert aupro([mask], [noise - mask]) == pytest.approx(0.0)


@pytest.mark.parametrize("value", [False, True])
def test_aupro_of_one_kind_of_pixel_alone_is_none(value: bool) -> None:
    masks = [np.full((4, 4), value)]

    assert aupro(masks, [np.ones((4, 4))]) is None
