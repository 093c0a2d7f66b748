"""The ROC curve and the precision-recall curve of a model, as charts and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from blemish.console.language.messages import say
from blemish.console.language.numbers import number_text, percent_text
from blemish.console.ui.chart import AXIS, CROSS, TOOLTIP
from blemish.engine.bundle import MeasuredScores
from blemish.engine.thresholds import ThresholdEffect, threshold_effect

MOST_POINTS = 400
"""Of a drawn curve; nobody would see more."""

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A curve of shares from 0 to 1, and where the threshold in force is on it."""

    points: Sequence[Point]
    #: None where nothing is called an anomaly
    at: Point | None
    #: in words
    description: str
    #: names of the axes
    x: str
    y: str


@dataclass(frozen=True, kw_only=True)
class CurveStep:
    """How many images of either kind have at least some score."""

    anomalies: int
    normal: int


def curve_steps(scores: MeasuredScores) -> list[CurveStep]:
    """Return the counts at every score from the highest down, after a step without images."""
    labelled = [(score, 1) for score in scores.anomaly] + [(score, 0) for score in scores.normal]
    labelled.sort(reverse=True)
    steps = [CurveStep(anomalies=0, normal=0)]
    for _, tied in groupby(labelled, key=lambda pair: pair[0]):
        kinds = [kind for _, kind in tied]
        last = steps[-1]
        steps.append(
            CurveStep(
                anomalies=last.anomalies + sum(kinds),
                normal=last.normal + len(kinds) - sum(kinds),
            )
        )
    return steps


def roc_points(scores: MeasuredScores) -> list[Point]:
    """Return (share of false alarms, share of anomalies found); none if a kind is missing."""
    normal, anomaly = len(scores.normal), len(scores.anomaly)
    if not normal or not anomaly:
        return []
    return [(step.normal / normal, step.anomalies / anomaly) for step in curve_steps(scores)]


def precision_recall_points(scores: MeasuredScores) -> list[Point]:
    """Return (recall, precision), beginning at the highest score; none without an anomaly."""
    anomaly = len(scores.anomaly)
    if not anomaly:
        return []
    return [
        (step.anomalies / anomaly, step.anomalies / (step.anomalies + step.normal))
        for step in curve_steps(scores)[1:]
    ]


def area_below(points: Sequence[Point]) -> float:
    """Return the area below straight lines from point to point."""
    return sum((x - before) * (y + last) / 2 for (before, last), (x, y) in pairwise(points))


def roc_curve(scores: MeasuredScores, threshold: float) -> Curve | None:
    """Return the ROC curve and where the threshold is on it; None where it is not measurable."""
    points = roc_points(scores)
    if not points:
        return None
    effect = threshold_effect(scores, threshold)
    at = (effect.false_positives / len(scores.normal), effect.true_positives / len(scores.anomaly))
    description = say(
        "ROC curve. The area below it is {area_below}. At the threshold in force "
        "{at} of the anomalies are found, and {at_2} of the normal images are false "
        "alarms.",
        area_below=number_text(area_below(points), digits=3),
        at=percent_text(at[1]),
        at_2=percent_text(at[0]),
    )
    return Curve(
        points=_thinned(points),
        at=at,
        description=description,
        x=say("False alarms among the normal"),
        y=say("Anomalies found"),
    )


def precision_recall_curve(scores: MeasuredScores, threshold: float) -> Curve | None:
    """Return the precision-recall curve, as `roc_curve` does."""
    points = precision_recall_points(scores)
    if not points:
        return None
    at = _recall_and_precision(threshold_effect(scores, threshold))
    description = say("Precision-recall curve. At the threshold in force ")
    if at is None:
        description += say("nothing is called an anomaly.")
    else:
        description += say(
            "the recall is {at} and the precision {at_2}.",
            at=percent_text(at[0]),
            at_2=percent_text(at[1]),
        )
    return Curve(
        points=_thinned(points), at=at, description=description, x=say("Recall"), y=say("Precision")
    )


def curve_options(curve: Curve) -> Mapping[str, Any]:
    """Return a curve as a chart of ECharts, in per cent."""
    axis = {**AXIS, "type": "value", "min": 0, "max": 100}
    series: list[Mapping[str, Any]] = [
        {
            "type": "line",
            "data": [[_percent(x), _percent(y)] for x, y in curve.points],
            "showSymbol": False,
            "emphasis": {"disabled": True},
            "lineStyle": {"color": "var(--accent)", "width": 2.5},
            "itemStyle": {"color": "var(--accent)"},
        }
    ]
    if curve.at is not None:
        series.append(
            {
                "type": "scatter",
                "name": say("Threshold in force"),
                "data": [[_percent(share) for share in curve.at]],
                "symbolSize": 11,
                "emphasis": {"disabled": True},
                "itemStyle": {
                    "color": "var(--surface)",
                    "borderColor": "var(--text)",
                    "borderWidth": 2.5,
                },
            }
        )
    return {
        "grid": {"left": 56, "right": 16, "top": 16, "bottom": 46},
        "tooltip": {**TOOLTIP, "trigger": "axis", "axisPointer": CROSS},
        "xAxis": {**axis, "name": f"{curve.x} (%)", "nameGap": 28},
        "yAxis": {**axis, "name": f"{curve.y} (%)", "nameGap": 36},
        "dataZoom": [{"type": "inside", "xAxisIndex": 0}, {"type": "inside", "yAxisIndex": 0}],
        "series": series,
    }


def _recall_and_precision(effect: ThresholdEffect) -> Point | None:
    recall, precision = effect.metrics.recall, effect.metrics.precision
    return None if recall is None or precision is None else (recall, precision)


def _thinned(points: Sequence[Point]) -> list[Point]:
    if len(points) <= MOST_POINTS:
        return list(points)
    last = len(points) - 1
    return [points[round(i * last / (MOST_POINTS - 1))] for i in range(MOST_POINTS)]


def _percent(share: float) -> float:
    return round(100 * share, 1)
