"""What the evaluation files of a model say of its test images and of its anomaly types."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from blemish.console.language.messages import later
from blemish.domain.entities import Label


class Cell(StrEnum):
    """Of the confusion matrix; an anomaly is a positive."""

    DETECTED = "found"
    MISSED = "missed"
    FALSE_ALARM = "false-alarm"
    PASSED = "passed"


CELL_NAMES: Mapping[Cell, str] = {
    Cell.DETECTED: later("anomalies found"),
    Cell.MISSED: later("anomalies missed"),
    Cell.FALSE_ALARM: later("false alarms"),
    Cell.PASSED: later("normal passed"),
}
"""Cell -> what people read."""

ORDERS: Mapping[str, str] = {
    "wrong": later("Most wrong first"),
    "anomalous": later("Most anomalous first"),
    "name": later("By name"),
}
"""The orders of test images -> what people read."""


@dataclass(frozen=True, kw_only=True)
class EvaluatedImage:
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
            return Cell.DETECTED if self.right else Cell.MISSED
        return Cell.PASSED if self.right else Cell.FALSE_ALARM


@dataclass(frozen=True, kw_only=True)
class TypeResult:
    """How well the pixels of one anomaly type are found; None where not measurable."""

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    iou: float | None


@dataclass(frozen=True, kw_only=True)
class ComparedImage:
    """One image that two models were tested on."""

    a: EvaluatedImage
    b: EvaluatedImage

    @property
    def differs(self) -> bool:
        """Whether the verdicts are not the same."""
        return self.a.verdict is not self.b.verdict

    @property
    def distance(self) -> float:
        """How far the models are apart."""
        return abs(self.a.anomalous - self.b.anomalous)


def parse_evaluation_manifest(data: bytes) -> list[EvaluatedImage]:
    """Read an evaluation manifest.

    Raises:
        ValueError: it is not an evaluation manifest.
    """
    try:
        lines = data.decode().splitlines()
        return [_evaluated_image(json.loads(line)) for line in lines if line.strip()]
    except (LookupError, TypeError) as error:
        raise ValueError(f"This is no evaluation manifest: {error!r}.") from error


def parse_type_results(data: bytes) -> list[TypeResult]:
    """Read what an evaluation result says of the anomaly types; nothing if it measured none.

    Raises:
        ValueError: it is not an evaluation result.
    """
    try:
        metrics = json.loads(data)["AggregatedEvaluationResults"]["Metrics"]
        return [
            TypeResult(
                name=result["ClassName"],
                precision=result["Precision"],
                recall=result["Recall"],
                f1=result["F1Score"],
                iou=result["AIOU"],
            )
            for result in metrics.get("PixelAnomalyClassMetrics", ())
        ]
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"This is no evaluation result: {error!r}.") from error


def cell_counts(images: Iterable[EvaluatedImage]) -> Mapping[Cell, int]:
    """Count the images in each cell of the confusion matrix."""
    counts = Counter(image.cell for image in images)
    return {cell: counts[cell] for cell in Cell}


def arranged_images(
    images: Iterable[EvaluatedImage], *, cell: Cell | None, order: str
) -> list[EvaluatedImage]:
    """Return the images of a cell, or with None all, in one of the `ORDERS`."""
    arranged = [image for image in images if cell is None or image.cell is cell]
    arranged.sort(key=lambda image: image.ref)
    if order == "wrong":
        arranged.sort(key=lambda image: (image.right, -image.wrongness))
    elif order == "anomalous":
        arranged.sort(key=lambda image: -image.anomalous)
    return arranged


def compared_images(
    a: Sequence[EvaluatedImage], b: Sequence[EvaluatedImage]
) -> list[ComparedImage]:
    """Pair the images that both models were tested on: those with other verdicts first."""
    by_ref = {image.ref: image for image in b}
    pairs = [ComparedImage(a=image, b=by_ref[image.ref]) for image in a if image.ref in by_ref]
    return sorted(pairs, key=lambda pair: (not pair.differs, -pair.distance, pair.a.ref))


def _evaluated_image(line: Mapping[str, Any]) -> EvaluatedImage:
    detected = line["anomaly-label-detected-metadata"]
    return EvaluatedImage(
        ref=str(line["source-ref"]),
        truth=Label(line["anomaly-label-metadata"]["class-name"]),
        verdict=Label(detected["class-name"]),
        confidence=float(detected["confidence"]),
    )
