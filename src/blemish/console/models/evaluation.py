"""The test images of a model: what is true of each, what the model said, how wrong that is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from blemish.domain.entities import Label


class Cell(StrEnum):
    """Of the confusion matrix; an anomaly is a positive."""

    FOUND = "found"
    MISSED = "missed"
    FALSE_ALARM = "false-alarm"
    PASSED = "passed"


CELL_NAMES: Mapping[Cell, str] = {
    Cell.FOUND: "anomalies found",
    Cell.MISSED: "anomalies missed",
    Cell.FALSE_ALARM: "false alarms",
    Cell.PASSED: "normal passed",
}
"""What people read."""

ORDERS: Mapping[str, str] = {
    "wrong": "Most wrong first",
    "anomalous": "Most anomalous first",
    "name": "By name",
}
"""In which test images are shown."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One test image, its label, and the verdict of the training's evaluation."""

    #: `s3://bucket/key`
    ref: str
    truth: Label
    verdict: Label
    #: probability of the verdict, 0 to 1
    confidence: float

    @property
    def name(self) -> str:
        """What people call it: the end of its key."""
        return self.ref.rsplit("/", 1)[-1]

    @property
    def right(self) -> bool:
        """Whether the verdict is the label."""
        return self.verdict is self.truth

    @property
    def anomalous(self) -> float:
        """How probable an anomaly is, by the model."""
        return self.confidence if self.verdict is Label.ANOMALY else 1 - self.confidence

    @property
    def wrongness(self) -> float:
        """How probable the model holds what is not true."""
        return 1 - self.anomalous if self.truth is Label.ANOMALY else self.anomalous

    @property
    def cell(self) -> Cell:
        """Where it stands in the confusion matrix."""
        if self.truth is Label.ANOMALY:
            return Cell.FOUND if self.right else Cell.MISSED
        return Cell.PASSED if self.right else Cell.FALSE_ALARM


@dataclass(frozen=True, kw_only=True)
class TypeResult:
    """How well one anomaly type is told from the rest, by pixels; None where not measurable."""

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    iou: float | None


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One image that two models were tested on."""

    a: Judged
    b: Judged

    @property
    def differs(self) -> bool:
        """Whether the verdicts are not the same."""
        return self.a.verdict is not self.b.verdict

    @property
    def distance(self) -> float:
        """How far the models are apart."""
        return abs(self.a.anomalous - self.b.anomalous)


def parse_manifest(data: bytes) -> list[Judged]:
    """Read an evaluation manifest.

    Raises:
        ValueError: it is none.
    """
    try:
        lines = data.decode().splitlines()
        return [_judged(json.loads(line)) for line in lines if line.strip()]
    except (LookupError, TypeError) as error:
        raise ValueError(f"This is no evaluation manifest: {error!r}.") from error


def parse_types(data: bytes) -> list[TypeResult]:
    """Read what an evaluation result says of the anomaly types; nothing if it measured none.

    Raises:
        ValueError: it is no evaluation result.
    """
    try:
        metrics = json.loads(data)["AggregatedEvaluationResults"]["Metrics"]
        return [
            TypeResult(
                name=each["ClassName"],
                precision=each["Precision"],
                recall=each["Recall"],
                f1=each["F1Score"],
                iou=each["AIOU"],
            )
            for each in metrics.get("PixelAnomalyClassMetrics", ())
        ]
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"This is no evaluation result: {error!r}.") from error


def cell_counts(judged: Iterable[Judged]) -> Mapping[Cell, int]:
    """Count the images in each cell of the confusion matrix."""
    counts = Counter(each.cell for each in judged)
    return {cell: counts[cell] for cell in Cell}


def arranged(judged: Iterable[Judged], *, cell: Cell | None, order: str) -> list[Judged]:
    """Return the images of a cell, or with None all, in one of the `ORDERS`."""
    found = [each for each in judged if cell is None or each.cell is cell]
    found.sort(key=lambda each: each.ref)
    if order == "wrong":
        found.sort(key=lambda each: (each.right, -each.wrongness))
    elif order == "anomalous":
        found.sort(key=lambda each: -each.anomalous)
    return found


def compared(a: Sequence[Judged], b: Sequence[Judged]) -> list[Compared]:
    """Pair the images that both models were tested on: those with other verdicts first."""
    of_b = {each.ref: each for each in b}
    pairs = [Compared(a=each, b=of_b[each.ref]) for each in a if each.ref in of_b]
    return sorted(pairs, key=lambda pair: (not pair.differs, -pair.distance, pair.a.ref))


def _judged(line: Mapping[str, Any]) -> Judged:
    detected = line["anomaly-label-detected-metadata"]
    return Judged(
        ref=str(line["source-ref"]),
        truth=Label(line["anomaly-label-metadata"]["class-name"]),
        verdict=Label(detected["class-name"]),
        confidence=float(detected["confidence"]),
    )
