"""The ROC curve and the precision-recall curve of a model, drawn as SVG that anyone can read.

Only numbers get into the drawings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from blemish.engine.bundle import MeasuredScores
from blemish.engine.thresholds import ThresholdEffect, threshold_effect

SIDE = 240
"""Of the square that a curve is drawn in, in units of the drawing."""

LEFT, TOP, RIGHT, BOTTOM = 46, 12, 16, 42
"""The margins around it."""

TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)

MOST_POINTS = 400
"""Of a drawn curve; nobody would see more."""

Point = tuple[float, float]


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


def roc_svg(scores: MeasuredScores, threshold: float) -> str | None:
    """Draw the ROC curve and where the threshold is on it; None where it is not measurable."""
    points = roc_points(scores)
    if not points:
        return None
    effect = threshold_effect(scores, threshold)
    at = (effect.false_positives / len(scores.normal), effect.true_positives / len(scores.anomaly))
    description = (
        f"ROC curve. The area below it is {area_below(points):.3f}. At the threshold in force "
        f"{at[1]:.0%} of the anomalies are found, and {at[0]:.0%} of the normal images are "
        "false alarms."
    )
    return _drawn(points, at, description, x="False alarms among the normal", y="Anomalies found")


def precision_recall_svg(scores: MeasuredScores, threshold: float) -> str | None:
    """Draw the precision-recall curve, as `roc_svg` does."""
    points = precision_recall_points(scores)
    if not points:
        return None
    effect = threshold_effect(scores, threshold)
    at = _recall_and_precision(effect)
    description = "Precision-recall curve. At the threshold in force "
    if at is None:
        description += "nothing is called an anomaly."
    else:
        description += f"the recall is {at[0]:.0%} and the precision {at[1]:.0%}."
    return _drawn(points, at, description, x="Recall", y="Precision")


def _recall_and_precision(effect: ThresholdEffect) -> Point | None:
    recall, precision = effect.metrics.recall, effect.metrics.precision
    return None if recall is None or precision is None else (recall, precision)


def _drawn(points: Sequence[Point], at: Point | None, description: str, *, x: str, y: str) -> str:
    width, height = LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM
    path = " ".join(f"{_x(px):.1f},{_y(py):.1f}" for px, py in _thinned(points))
    dot = ""
    if at is not None:
        dot = f'<circle class="at" cx="{_x(at[0]):.1f}" cy="{_y(at[1]):.1f}" r="5"/>'
    middle = TOP + SIDE / 2
    return (
        f'<svg class="curve" viewBox="0 0 {width} {height}" role="img" aria-label="{description}">'
        f"{_grid()}"
        f'<text class="axis" x="{LEFT + SIDE / 2}" y="{height - 6}" text-anchor="middle">{x}</text>'
        f'<text class="axis" x="11" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 11 {middle})">{y}</text>'
        f'<polyline points="{path}"/>{dot}</svg>'
    )


def _grid() -> str:
    pieces = []
    for tick in TICKS:
        across, down = _x(tick), _y(tick)
        pieces.append(
            f'<line x1="{LEFT}" x2="{LEFT + SIDE}" y1="{down}" y2="{down}"/>'
            f'<line x1="{across}" x2="{across}" y1="{TOP}" y2="{TOP + SIDE}"/>'
            f'<text x="{across}" y="{TOP + SIDE + 15}" text-anchor="middle">{tick:.0%}</text>'
            f'<text x="{LEFT - 5}" y="{down + 4}" text-anchor="end">{tick:.0%}</text>'
        )
    return f'<g class="grid">{"".join(pieces)}</g>'


def _thinned(points: Sequence[Point]) -> list[Point]:
    if len(points) <= MOST_POINTS:
        return list(points)
    last = len(points) - 1
    return [points[round(i * last / (MOST_POINTS - 1))] for i in range(MOST_POINTS)]


def _x(share: float) -> float:
    return LEFT + SIDE * share


def _y(share: float) -> float:
    return TOP + SIDE * (1 - share)
