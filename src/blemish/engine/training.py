"""Training: labelled images in, a bundle out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from blemish.domain.entities import Label
from blemish.domain.palette import BACKGROUND
from blemish.engine.anomaly_types import choose_colors, choose_types
from blemish.engine.backbones import Backbone, load_backbone
from blemish.engine.bundle import AnomalyType, Bundle, BundleInfo, write_bundle
from blemish.engine.calibration import Calibration, calibrate
from blemish.engine.cross_validation import FOLDS, ProjectedImage, held_out_scores
from blemish.engine.embedding import Embedder
from blemish.engine.errors import TrainingError
from blemish.engine.gathering import Gathered, gather, head_data, patch_quota, sample_rows
from blemish.engine.graph import DetectorParts, detector_graph
from blemish.engine.heads import SegmentationHead, fit_segmentation_head
from blemish.engine.images import ImageLimits, graph_size
from blemish.engine.labeled import LabeledImage, Progress, ProgressCallback, TrainingMask
from blemish.engine.metrics import precision_recall_f1, roc_auc
from blemish.engine.scorers import fit_memory_bank, random_projection
from blemish.engine.survey import Survey, survey_images

__all__ = [
    "LabeledImage",
    "Progress",
    "TrainingError",
    "TrainingMask",
    "TrainingOptions",
    "TrainingReport",
    "train",
]

MIN_NORMAL = 2
"""Different normal pictures without which nothing can be held out."""

LIBRARIES = ("blemish", "numpy", "onnx", "onnxruntime", "pillow", "scikit-learn")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What a training depends on besides its pictures."""

    limits: ImageLimits
    #: whether pictures may differ in size
    mixed_sizes: bool
    #: an ONNX file with outputs `layer2` and `layer3`; None for the built-in network
    backbone: Path | None
    threads: int
    seed: int
    #: an anomaly type with fewer masks is left out of the segmentation head
    min_masks_per_type: int


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """What a training has to tell beside its bundle."""

    #: sentences for people, about what the data did not allow
    notes: tuple[str, ...]
    #: anomaly types of the segmentation head; empty for a classification model
    anomaly_types: tuple[str, ...]


def train(
    images: Sequence[LabeledImage],
    *,
    directory: Path,
    options: TrainingOptions,
    progress: ProgressCallback,
) -> TrainingReport:
    """Learn from labelled images and write the bundle into `directory`, which exists and is empty.

    Same images (in any order), options and machine: same bundle, bit for bit.

    Raises:
        TrainingError: images or masks cannot be used; all of their problems are counted.
        BackboneError: the backbone of `options` cannot be used.
    """
    with threadpool_limits(options.threads):
        return _train(images, directory, options, progress)


def _train(
    images: Sequence[LabeledImage],
    directory: Path,
    options: TrainingOptions,
    progress: ProgressCallback,
) -> TrainingReport:
    backbone = load_backbone(options.backbone)
    survey = survey_images(images, mixed_sizes=options.mixed_sizes, progress=progress)
    width, height = graph_size(*survey.size.upright)
    embedder = Embedder(backbone, width=width, height=height, threads=options.threads)
    projection = random_projection(embedder.width, seed=options.seed)
    gathered = gather(
        survey,
        embedder=embedder,
        projection=projection,
        graph_size=(width, height),
        limits=options.limits,
        seed=options.seed,
        progress=progress,
    )
    scores, anomalous = _cross_validate(gathered, options, progress)
    calibration = calibrate(scores, anomalous)
    progress(Progress(step="choosing the coreset", done=0, total=1))
    candidates = np.concatenate(gathered.candidates)
    bank = fit_memory_bank(candidates, generator=np.random.default_rng(options.seed))
    progress(Progress(step="choosing the coreset", done=1, total=1))
    head, types, head_notes = _fit_head(survey, gathered, options, progress)

    parts = DetectorParts(
        backbone=backbone,
        projection=projection,
        bank=bank,
        calibration=calibration,
        head=head,
    )
    notes = (*calibration.notes, *head_notes)
    info = BundleInfo(
        graph_size=(width, height),
        picture_size=survey.size,
        threshold=calibration.threshold,
        background=BACKGROUND,
        anomaly_types=types,
        history=_history(backbone, calibration, scores, anomalous, options) | {"notes": notes},
    )
    graph = detector_graph(parts, width=width, height=height)
    write_bundle(Bundle(info=info, model=graph.SerializeToString(deterministic=True)), directory)
    return TrainingReport(notes=notes, anomaly_types=tuple(entry.name for entry in types))


def _cross_validate(
    gathered: Gathered, options: TrainingOptions, progress: ProgressCallback
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the held-out scores (n,) and whether each image is labelled as an anomaly."""
    distinct = {image.digest for image in gathered.held_out if image.label is Label.NORMAL}
    if len(distinct) < MIN_NORMAL:
        raise TrainingError(
            f"The training images show {len(distinct)} different normal pictures; at least "
            f"{MIN_NORMAL} are needed."
        )

    def sample(images: Sequence[ProjectedImage]) -> NDArray[np.float32]:
        quota = patch_quota(len(images))
        generator = np.random.default_rng(options.seed)
        return np.concatenate(
            [sample_rows(image.embeddings, quota, generator=generator) for image in images]
        )

    scores = held_out_scores(
        gathered.held_out,
        sample=sample,
        seed=options.seed,
        on_fold=lambda done: progress(Progress(step="cross-validation", done=done, total=FOLDS)),
    )
    labels = [image.label is Label.ANOMALY for image in gathered.held_out]
    return scores, np.array(labels, dtype=np.bool_)


def _fit_head(
    survey: Survey, gathered: Gathered, options: TrainingOptions, progress: ProgressCallback
) -> tuple[SegmentationHead | None, tuple[AnomalyType, ...], list[str]]:
    """Fit the segmentation head, if there are masks enough for one."""
    types_of_images = [image.shares for image in gathered.head]
    names, notes = choose_types(types_of_images, min_masks=options.min_masks_per_type)
    if not names:
        return None, (), notes
    progress(Progress(step="segmentation head", done=0, total=1))
    embeddings, shares = head_data(gathered.head, names)
    head = fit_segmentation_head(embeddings, shares)
    progress(Progress(step="segmentation head", done=1, total=1))
    masks = [each.image.mask for each in survey.images if each.image.mask is not None]
    return head, choose_colors(names, masks), notes


def _history(
    backbone: Backbone,
    calibration: Calibration,
    scores: NDArray[np.float64],
    anomalous: NDArray[np.bool_],
    options: TrainingOptions,
) -> dict[str, Any]:
    """Describe for people how the detector came to be."""
    held_out: dict[str, float | None] = {
        "normal": int((~anomalous).sum()),
        "anomaly": int(anomalous.sum()),
    }
    if anomalous.any():
        precision, recall, f1 = precision_recall_f1(anomalous, scores >= calibration.threshold)
        held_out |= {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "image_auroc": roc_auc(anomalous, scores),
        }
    return {
        "backbone": {"name": backbone.name, "sha256": backbone.sha256},
        "seed": options.seed,
        "threads": options.threads,
        "held_out_images": held_out,
        "confidence": {"slope": calibration.slope, "midpoint": calibration.midpoint},
        "versions": {name: version(name) for name in LIBRARIES},
    }
