"""Training: labelled images in, a bundle out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from blemish.domain.palette import BACKGROUND
from blemish.engine.anomaly_types import choose_colors, choose_types
from blemish.engine.backbones import Backbone, load_backbone
from blemish.engine.bundle import AnomalyType, Bundle, BundleInfo
from blemish.engine.calibration import calibrate
from blemish.engine.cross_validation import HeldOutScores, held_out_scores
from blemish.engine.embedding import Embedder
from blemish.engine.gathering import gather
from blemish.engine.graph import DetectorParts, detector_graph
from blemish.engine.images import ImageLimits, graph_size, least_decoded
from blemish.engine.labeled import LabeledImage, Progress, ProgressCallback
from blemish.engine.metrics import precision_recall_f1, roc_auc
from blemish.engine.scorers import fit_memory_bank, random_projection
from blemish.engine.segmentation import fit_segmentation
from blemish.engine.survey import Survey, survey_images

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
    """What a training made, and what it has to tell."""

    bundle: Bundle
    #: sentences for people, about what the data did not allow
    notes: tuple[str, ...]
    #: anomaly types of the segmentation head; empty for a classification model
    anomaly_types: tuple[str, ...]


def train(
    images: Sequence[LabeledImage],
    *,
    options: TrainingOptions,
    progress: ProgressCallback,
) -> TrainingReport:
    """Learn from labelled images; the bundle is in memory, to be kept by whoever asked for it.

    Same images (in any order), options and machine: same bundle, bit for bit.

    Raises:
        TrainingError: images or masks cannot be used; all of their problems are counted.
        BackboneError: the backbone of `options` cannot be used.
    """
    with threadpool_limits(1):  # numpy's threads spin: on busy cores they took 30 times as long
        backbone = load_backbone(options.backbone)
        survey = survey_images(images, mixed_sizes=options.mixed_sizes, progress=progress)
        learned = _learn(survey, backbone, options, progress)

    progress(Progress(step="writing the bundle", done=0, total=1))
    width, height = graph_size(*survey.size.upright, step=learned.parts.backbone.step)
    calibration = learned.parts.calibration
    info = BundleInfo(
        graph_size=(width, height),
        picture_size=survey.size,
        threshold=float(np.float32(calibration.threshold)),  # as the graph has it
        background=BACKGROUND,
        anomaly_types=learned.types,
        history=_history(learned, options),
        decoded_at_least=least_decoded(width, height),
    )
    model = detector_graph(learned.parts, width=width, height=height)
    progress(Progress(step="writing the bundle", done=1, total=1))
    return TrainingReport(
        bundle=Bundle(info=info, model=model.SerializeToString(deterministic=True)),
        notes=learned.notes,
        anomaly_types=tuple(each.name for each in learned.types),
    )


@dataclass(frozen=True, kw_only=True)
class _Learned:
    """What the images taught."""

    parts: DetectorParts
    held_out: HeldOutScores
    types: tuple[AnomalyType, ...]
    notes: tuple[str, ...]


def _learn(
    survey: Survey, backbone: Backbone, options: TrainingOptions, progress: ProgressCallback
) -> _Learned:
    """Fit the parts of a detector."""
    seed = options.seed
    width, height = graph_size(*survey.size.upright, step=backbone.step)
    embedder = Embedder(backbone, width=width, height=height, threads=options.threads)
    projection = random_projection(embedder.width, seed=seed)
    gathered = gather(
        survey, embedder, projection, limits=options.limits, seed=seed, progress=progress
    )
    held_out = held_out_scores(
        gathered.held_out, seed=seed, threads=options.threads, progress=progress
    )
    calibration = calibrate(held_out.scores, held_out.anomalous)
    progress(Progress(step="choosing the coreset", done=0, total=1))
    candidates = np.concatenate(gathered.candidates)
    parts = DetectorParts(
        backbone=backbone,
        projection=projection,
        bank=fit_memory_bank(candidates, generator=np.random.default_rng(seed)),
        calibration=calibration,
        head=None,
    )
    names, notes = choose_types(
        [patches.shares for patches in gathered.masked], min_masks=options.min_masks_per_type
    )
    notes = calibration.notes + notes
    if not names:
        return _Learned(parts=parts, held_out=held_out, types=(), notes=notes)

    progress(Progress(step="segmentation head", done=0, total=1))
    head = fit_segmentation(
        gathered.masked,
        names,
        unmasked=np.concatenate([np.empty((0, embedder.width), np.float32), *gathered.unmasked]),
        seed=seed,
        threads=options.threads,
    )
    masks = [each.image.mask for each in survey.images if each.image.mask]
    return _Learned(
        parts=replace(parts, head=head),
        held_out=held_out,
        types=choose_colors(names, masks),
        notes=notes,
    )


def _history(learned: _Learned, options: TrainingOptions) -> dict[str, Any]:
    """Describe for people how the detector came to be."""
    backbone, calibration = learned.parts.backbone, learned.parts.calibration
    anomalous, scores = learned.held_out.anomalous, learned.held_out.scores
    metrics = precision_recall_f1(anomalous, scores >= calibration.threshold)
    return {
        "backbone": {"name": backbone.name, "sha256": backbone.sha256},
        "seed": options.seed,
        "threads": options.threads,
        "held_out_images": {
            "normal": int((~anomalous).sum()),
            "anomaly": int(anomalous.sum()),
            **metrics._asdict(),
            "image_auroc": roc_auc(anomalous, scores),
        },
        "confidence": {"slope": calibration.slope, "midpoint": calibration.midpoint},
        "versions": {name: version(name) for name in LIBRARIES},
        "notes": learned.notes,
    }
