from __future__ import annotations

import pytest

from blemish.console.models.curves import (
    MOST_POINTS,
    area_below,
    curve_options,
    precision_recall_curve,
    precision_recall_points,
    roc_curve,
    roc_points,
)
from blemish.engine.bundle import MeasuredScores

SCORES = MeasuredScores(normal=(1.0, 2.0, 3.0, 3.0), anomaly=(2.5, 3.0))


def test_the_roc_curve_takes_tied_scores_in_one_step() -> None:
    points = roc_points(SCORES)

    assert points == [(0, 0), (0.5, 0.5), (0.5, 1), (0.75, 1), (1, 1)]
    assert area_below(points) == pytest.approx(5 / 8)


def test_precision_and_recall_begin_at_the_highest_score() -> None:
    assert precision_recall_points(SCORES)[:2] == [(0.5, pytest.approx(1 / 3)), (1, 0.5)]


def test_a_curve_says_in_words_where_the_threshold_is() -> None:
    roc, precision_recall = roc_curve(SCORES, 2.75), precision_recall_curve(SCORES, 2.75)

    assert roc is not None
    assert "area below it is 0.625" in roc.description
    assert "50% of the anomalies are found, and 50% of the normal images" in roc.description
    assert curve_options(roc)["series"][1]["data"] == [[50.0, 50.0]]
    assert precision_recall is not None
    assert "the recall is 50% and the precision 33%" in precision_recall.description


def test_a_threshold_that_finds_nothing_has_no_precision() -> None:
    curve = precision_recall_curve(SCORES, 9)

    assert curve is not None
    assert "nothing is called an anomaly" in curve.description
    assert len(curve_options(curve)["series"]) == 1


@pytest.mark.parametrize(
    "scores", [MeasuredScores(normal=(1.0,), anomaly=()), MeasuredScores(normal=(), anomaly=(1.0,))]
)
def test_no_roc_curve_without_both_kinds(scores: MeasuredScores) -> None:
    assert roc_curve(scores, 1) is None


def test_no_precision_without_an_anomaly() -> None:
    assert precision_recall_curve(MeasuredScores(normal=(1.0,), anomaly=()), 1) is None


def test_a_curve_of_many_scores_is_drawn_by_few_points() -> None:
    many = tuple(map(float, range(3_000)))

    curve = roc_curve(MeasuredScores(normal=many, anomaly=many), 1)

    assert curve is not None
    assert len(curve.points) == MOST_POINTS
    assert (curve.points[0], curve.points[-1]) == ((0, 0), (1, 1))
