"""Evaluation: a detector and a test set in, metrics and one verdict per image out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.bundle import MeasuredScores
from blemish.engine.images.decode import ImageError, ImageLimits
from blemish.engine.images.masks import decode_mask, encode_mask
from blemish.engine.images.regions import Regions
from blemish.engine.metrics import (
    average_precision,
    intersection_over_union,
    precision_recall_f1,
    roc_auc,
)
from blemish.engine.runtime import AnomalyArea, Detection, Detector
from blemish.engine.training.labeled_images import LabeledImage, Progress, ProgressCallback
from blemish.engine.training.problems import Problems
from blemish.engine.training.unseen_images import UnseenImage


@dataclass(frozen=True, kw_only=True)
class EvaluationVerdict:
    """The detector's verdict on one test image."""

    name: str
    label: Label
    score: float
    confidence: float
    is_anomalous: bool
    #: of a segmentation model; None for a classification model
    anomalies: tuple[AnomalyArea, ...] | None
    #: the anomaly mask as RGB PNG of the image's stored size; None for a classification model
    mask_png: bytes | None


@dataclass(frozen=True, kw_only=True)
class TypeMetrics:
    """Pixel metrics of one anomaly type, over the test images with known masks.

    None where it cannot be measured.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    #: mean IoU over the images that have the type in truth or answer
    average_iou: float | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Image-level metrics with `anomaly` as the positive class; None where not measurable."""

    verdicts: tuple[EvaluationVerdict, ...]
    precision: float | None
    recall: float | None
    f1: float | None
    roc_auc: float | None
    average_precision: float | None
    #: None for a classification model and where no test image has a mask
    anomaly_types: tuple[TypeMetrics, ...] | None
    #: sentences for people that say what could not be measured, and why
    notes: tuple[str, ...]


def evaluate(
    detector: Detector,
    images: Sequence[LabeledImage],
    *,
    limits: ImageLimits,
    mixed_sizes: bool,
    progress: ProgressCallback,
    regions: Regions | None = None,
) -> Evaluation:
    """Run `detector` over test images, in their order, and measure its verdicts.

    Raises:
        TrainingError: images or masks cannot be used; the error has all problems.
    """
    problems = Problems()
    verdicts: list[EvaluationVerdict] = []
    pixels = _PixelCounts(detector.names[1:], regions)
    for position, image in enumerate(images):
        try:
            detection = detector.detect(image.read(), limits=limits, mixed_sizes=mixed_sizes)
            pixels.add(image, detection)
        except ImageError as error:
            problems.add(position, image, error)
        else:
            verdicts.append(_verdict(image, detection, colors=detector.colors))
        progress(Progress(step="evaluation", done=position + 1, total=len(images)))
    problems.raise_if_any()
    return _measured(verdicts, pixels.metrics())


def with_unseen_images(
    evaluation: Evaluation, images: Sequence[LabeledImage], verdicts: Sequence[UnseenImage]
) -> Evaluation:
    """Add training images that were cross-validated to an evaluation, behind its own images.

    Metrics of images are measured anew over all of them; those of pixels stay, since
    cross-validation draws no masks.

    Args:
        evaluation: of images that the detector was not trained on.
        images: of the training.
        verdicts: one for each image.
    """
    added = [
        EvaluationVerdict(
            name=image.name,
            label=image.label,
            score=verdict.score,
            confidence=verdict.confidence,
            is_anomalous=verdict.is_anomalous,
            anomalies=None,
            mask_png=None,
        )
        for image, verdict in zip(images, verdicts, strict=True)
    ]
    return _measured([*evaluation.verdicts, *added], evaluation.anomaly_types)


def measured_scores(evaluation: Evaluation) -> MeasuredScores:
    """Return the scores of the test images, in the form that a bundle stores."""

    def scores_of(label: Label) -> tuple[float, ...]:
        return tuple(sorted(v.score for v in evaluation.verdicts if v.label is label))

    return MeasuredScores(normal=scores_of(Label.NORMAL), anomaly=scores_of(Label.ANOMALY))


def _verdict(
    image: LabeledImage, detection: Detection, *, colors: Sequence[str]
) -> EvaluationVerdict:
    mask = detection.mask
    return EvaluationVerdict(
        name=image.name,
        label=image.label,
        score=detection.score,
        confidence=detection.confidence,
        is_anomalous=detection.is_anomalous,
        anomalies=detection.anomalies,
        mask_png=None if mask is None else encode_mask(mask, colors=colors),
    )


def _measured(
    verdicts: Sequence[EvaluationVerdict], types: tuple[TypeMetrics, ...] | None
) -> Evaluation:
    truth = np.array([verdict.label is Label.ANOMALY for verdict in verdicts], dtype=np.bool_)
    called = np.array([verdict.is_anomalous for verdict in verdicts], dtype=np.bool_)
    scores = np.array([verdict.score for verdict in verdicts], dtype=np.float64)
    precision, recall, f1 = precision_recall_f1(truth, called)
    return Evaluation(
        verdicts=tuple(verdicts),
        precision=precision,
        recall=recall,
        f1=f1,
        roc_auc=roc_auc(truth, scores),
        average_precision=average_precision(truth, scores),
        anomaly_types=types,
        notes=_image_notes(truth, called) + _type_notes(types or ()),
    )


def _image_notes(truth: NDArray[np.bool_], called: NDArray[np.bool_]) -> tuple[str, ...]:
    """Return notes about image metrics that the test set does not give, with the reason."""
    notes = []
    if not truth.any():
        notes.append(
            "Recall, average precision and the area under the ROC curve are not measurable: no "
            "test image is labelled as an anomaly."
        )
    elif truth.all():
        notes.append(
            "The area under the ROC curve is not measurable: no test image is labelled as normal."
        )
    if not called.any():
        notes.append("Precision is not measurable: no test image was found to be anomalous.")
    return tuple(notes)


def _type_notes(types: Sequence[TypeMetrics]) -> tuple[str, ...]:
    """Return notes about anomaly types that the test set gives no metrics for."""
    return tuple(
        f"Recall is not measurable for the anomaly label '{entry.name}': no mask of the test "
        "images shows it."
        for entry in types
        if entry.recall is None
    )


class _PixelCounts:
    """Counts, for each anomaly type, the pixels of truth and answer over all test images.

    The truth is known of images with a mask and of normal images, which have no anomaly anywhere.
    """

    def __init__(self, names: Sequence[str], regions: Regions | None) -> None:
        self._names = names
        self._regions = regions
        self._both, self._truth, self._answer = np.zeros((3, len(names)), dtype=np.int64)
        self._overlaps: list[list[float]] = [[] for _ in names]
        self._any_mask = False

    def add(self, image: LabeledImage, detection: Detection) -> None:
        """Count the pixels of one image.

        Raises:
            ImageError: the image's mask cannot be used.
        """
        if detection.mask is None or (image.mask is None and image.label is Label.ANOMALY):
            return
        truths = {}
        if image.mask is not None:
            self._any_mask = True
            truths = decode_mask(
                image.mask.read(),
                colors=image.mask.colors,
                size=detection.stored_size,
                orientation=detection.orientation,
                drawn=image.mask.orientation,
            )
        nothing = np.zeros_like(detection.mask, dtype=np.bool_)
        for i, name in enumerate(self._names):
            truth, answer = truths.get(name, nothing), detection.mask == i + 1
            if self._regions is not None:
                truth = truth & self._regions.at(detection.stored_size)
            self._both[i] += np.count_nonzero(truth & answer)
            self._truth[i] += np.count_nonzero(truth)
            self._answer[i] += np.count_nonzero(answer)
            overlap = intersection_over_union(truth, answer)
            if overlap is not None:
                self._overlaps[i].append(overlap)

    def metrics(self) -> tuple[TypeMetrics, ...] | None:
        """Return the metrics of each anomaly type; None where no image has a mask."""
        if not self._any_mask:
            return None
        return tuple(self._metrics_of(i, name) for i, name in enumerate(self._names))

    def _metrics_of(self, i: int, name: str) -> TypeMetrics:
        both, truth, answer = int(self._both[i]), int(self._truth[i]), int(self._answer[i])
        overlaps = self._overlaps[i]
        return TypeMetrics(
            name=name,
            precision=both / answer if answer else None,
            recall=both / truth if truth else None,
            f1=2 * both / (truth + answer) if truth + answer else None,
            average_iou=sum(overlaps) / len(overlaps) if overlaps else None,
        )
