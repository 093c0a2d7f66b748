"""Training: labelled images in, a bundle out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from blemish.domain.entities import Label
from blemish.domain.palette import BACKGROUND
from blemish.engine.backbones.backbone import Backbone, load_backbone
from blemish.engine.bundle import Bundle, BundleInfo, BundleRegions
from blemish.engine.errors import TrainingError
from blemish.engine.graph.detector_graph import DetectorParts, detector_graph
from blemish.engine.images.decode import ImageLimits
from blemish.engine.images.regions import InspectedArea, Regions
from blemish.engine.images.resize import least_decoded
from blemish.engine.images.samples import range_notes
from blemish.engine.normal_images import NormalImages, embedding_reference, normal_images
from blemish.engine.scorers.memory_bank import bank_projections
from blemish.engine.scorers.scorer import FittedScorer, Scorer
from blemish.engine.training.anomaly_types import assign_colors, require_masks, select_types
from blemish.engine.training.calibration import (
    FALSE_ALARM_RATE,
    Calibration,
    calibrate,
    threshold_rule,
)
from blemish.engine.training.cross_validation import cross_validate, fit_scorers
from blemish.engine.training.dataset_notes import unused_anomaly_notes
from blemish.engine.training.features import (
    TrainingFeatures,
    collect_features,
    recomputes,
    room_for,
)
from blemish.engine.training.folds import FOLDS, assign_folds
from blemish.engine.training.inspected_areas import bundle_regions, inspected_area, usable_images
from blemish.engine.training.labeled_images import LabeledImage, Progress, ProgressCallback
from blemish.engine.training.learned_detector import LearnedDetector, bundle_history
from blemish.engine.training.score_table import ScoreTable, score_table
from blemish.engine.training.segmentation import fit_segmentation
from blemish.engine.training.selected_resolutions import labels_decide, select_resolutions
from blemish.engine.training.selection import Selection, map_fusion, select
from blemish.engine.training.unseen_images import UnseenImage, unseen_images
from blemish.engine.training.validation import (
    TrainingSet,
    ValidatedImage,
    training_set,
    validate_datasets,
)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Everything that a training depends on besides its images."""

    limits: ImageLimits
    #: whether images may differ in size
    mixed_sizes: bool
    #: an ONNX file with outputs `layer2` and `layer3`, the name of a packaged backbone, or None for
    #: the default one
    backbone: Path | str | None
    threads: int
    seed: int
    #: an anomaly type with fewer masks is left out of the segmentation head
    min_masks_per_type: int
    #: share of normal images that may be called anomalous, where few anomalies are labelled
    false_alarm_rate: float = FALSE_ALARM_RATE
    #: long side of the images that the detector sees, in pixels; None: the training selects it
    resolution: int | None = None
    #: what counts in the stored images; None for everything
    regions: Regions | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """The result of a training."""

    bundle: Bundle
    #: sentences for people about the limits of the data
    notes: tuple[str, ...]
    #: anomaly types of the segmentation head; empty for a classification model
    anomaly_types: tuple[str, ...]
    #: the cross-validated verdicts on different images; few are left out where memory is short
    unseen_images: tuple[UnseenImage, ...]


def train(
    images: Sequence[LabeledImage],
    *,
    options: TrainingOptions,
    progress: ProgressCallback,
) -> TrainingReport:
    """Validate labelled images and train a detector on them.

    Raises:
        TrainingError: images or masks cannot be used; the error has all problems.
        BackboneError: the backbone of `options` cannot be used.
    """
    datasets = validate_datasets(
        images, limits=options.limits, mixed_sizes=options.mixed_sizes, progress=progress
    )
    return train_validated(datasets.training, options=options, progress=progress)


def train_validated(
    images: Sequence[ValidatedImage],
    *,
    options: TrainingOptions,
    progress: ProgressCallback,
    held_out: Sequence[ValidatedImage] = (),
) -> TrainingReport:
    """Train a detector on validated images; the caller stores the bundle, which is in memory.

    The same images (in any order), options and machine give the same bundle, bit for bit.

    Args:
        images: the images to train on.
        options: everything else that the bundle depends on.
        progress: called after each part of the work.
        held_out: images that the automatic split took for the test; only a message names them.

    Raises:
        TrainingError: the images cannot be trained on.
        BackboneError: the backbone of `options` cannot be used.
    """
    with threadpool_limits(1):  # numpy's threads spin: on busy cores they took 30 times as long
        backbone = load_backbone(options.backbone)
        validated = training_set(images, mixed_sizes=options.mixed_sizes)
        validated, region_notes = usable_images(validated, options.regions)
        require_masks(validated, least=options.min_masks_per_type, held_out=held_out)
        learned = _learn(validated, backbone, options, progress)

    progress(Progress(step="writing the bundle", done=0, total=1))
    width, height = learned.size
    info = BundleInfo(
        graph_size=(width, height),
        image_size=validated.size,
        threshold=float(np.float32(learned.parts.calibration.threshold)),  # as the graph has it
        background=BACKGROUND,
        anomaly_types=learned.types,
        history=bundle_history(learned, seed=options.seed, threads=options.threads),
        decoded_at_least=least_decoded(width, height),
        sample_bits=validated.sample_bits,
        regions=learned.regions,
        normal_images=learned.normal_images,
    )
    model = detector_graph(learned.parts, width=width, height=height)
    progress(Progress(step="writing the bundle", done=1, total=1))
    return TrainingReport(
        bundle=Bundle(info=info, model=model.SerializeToString(deterministic=True)),
        notes=learned.notes + region_notes,
        anomaly_types=tuple(entry.name for entry in learned.types),
        unseen_images=learned.unseen_images,
    )


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """Everything fitted at one resolution, before the selection."""

    #: (width, height)
    size: tuple[int, int]
    features: TrainingFeatures
    table: ScoreTable
    scorers: Mapping[Scorer, FittedScorer]
    #: what counts in an image; None for everything
    area: InspectedArea | None


def _learn(
    validated: TrainingSet,
    backbone: Backbone,
    options: TrainingOptions,
    progress: ProgressCallback,
) -> LearnedDetector:
    """Fit the parts of a detector, and select among them."""
    folds = _fold_of(validated)
    stages, resolution_notes = _stages(validated, backbone, options, progress, fold_of=folds)
    selection = select([stage.table for stage in stages])
    stage = stages[selection.candidate.table]
    calibration, unseen = _calibrate(selection, stage, options, bank_alone=backbone.bank_alone)
    parts = DetectorParts(
        backbone=backbone,
        scorers=stage.scorers,
        scales=stage.table.scales,
        fusion=selection.fusion,
        map_fusion=map_fusion(selection.candidate, stage.table),
        calibration=calibration,
        head=None,
        area=stage.area,
    )
    parts, normals = _with_reference(parts, stage, selection)
    names, notes = select_types(stage.features.masked, min_masks=options.min_masks_per_type)
    learned = LearnedDetector(
        size=stage.size,
        parts=parts,
        selection=selection,
        anomalous=stage.table.anomalous,
        unseen_images=unseen,
        alignments=stage.table.alignments,
        types=(),
        notes=(
            *range_notes(entry.sample_bits for entry in validated.images),
            *resolution_notes,
            *calibration.notes,
            *unused_anomaly_notes(
                int(stage.table.anomalous.sum()), has_heads=selection.candidate.has_heads
            ),
            *notes,
        ),
        regions=_bundle_regions(validated, stage, options),
        normal_images=normals,
    )
    if names:
        return _with_segmentation(
            learned, stage, validated, names, options=options, progress=progress
        )
    _require_types(validated, notes)
    return learned


def _with_reference(
    parts: DetectorParts, stage: _Stage, selection: Selection
) -> tuple[DetectorParts, NormalImages | None]:
    """Add what later images are compared with, unless the normal images are too few."""
    embeddings = np.stack([embedding for _, embedding in stage.features.looks])
    normals = normal_images(
        [look for look, _ in stage.features.looks],
        embeddings,
        scores=selection.scores[~stage.table.anomalous],
    )
    if normals is None:
        return parts, None
    return replace(parts, reference=embedding_reference(embeddings)), normals


def _calibrate(
    selection: Selection, stage: _Stage, options: TrainingOptions, *, bank_alone: bool
) -> tuple[Calibration, tuple[UnseenImage, ...]]:
    """Return threshold and confidence, and the verdicts on images without their folds."""
    table, rate = stage.table, options.false_alarm_rate
    calibration = calibrate(
        selection.scores, table.anomalous, gain=selection.gain, rate=rate, bank_alone=bank_alone
    )
    rule = threshold_rule(table.anomalous, rate=rate, bank_alone=bank_alone)
    digests = stage.features.embedded_digests
    return calibration, unseen_images(digests, selection, table, calibration, rule)


def _require_types(validated: TrainingSet, notes: Sequence[str]) -> None:
    """Refuse masks that teach no anomaly type."""
    if any(entry.anomaly_types for entry in validated.images):
        raise TrainingError(" ".join(("The masks teach no anomaly label.", *notes)))


def _fold_of(validated: TrainingSet) -> NDArray[np.int64]:
    labels = [entry.image.label for entry in validated.images]
    digests = [entry.digest for entry in validated.images]
    normal = {entry.digest for entry in validated.images if entry.image.label is Label.NORMAL}
    return assign_folds(digests, labels, folds=min(FOLDS, len(normal)))


def _bundle_regions(
    validated: TrainingSet, stage: _Stage, options: TrainingOptions
) -> BundleRegions | None:
    if options.regions is None or stage.area is None:
        return None
    return bundle_regions(validated, options.regions, stage.area, grid=stage.features.grid)


def _with_segmentation(
    learned: LearnedDetector,
    stage: _Stage,
    validated: TrainingSet,
    names: Sequence[str],
    *,
    options: TrainingOptions,
    progress: ProgressCallback,
) -> LearnedDetector:
    """Fit a segmentation head for the anomaly types that the masks teach."""
    progress(Progress(step="segmentation head", done=0, total=1))
    masked, unmasked = stage.features.masked, stage.features.unmasked
    head = fit_segmentation(
        masked,
        names,
        unmasked=np.concatenate(
            [np.empty((0, masked[0].embeddings.shape[1]), np.float32), *unmasked]
        ),
        seed=options.seed,
        threads=options.threads,
    )
    masks = [entry.image.mask for entry in validated.images if entry.image.mask]
    return replace(
        learned,
        parts=replace(learned.parts, head=head),
        types=assign_colors(names, masks),
    )


def _stages(
    validated: TrainingSet,
    backbone: Backbone,
    options: TrainingOptions,
    progress: ProgressCallback,
    *,
    fold_of: NDArray[np.int64],
) -> tuple[list[_Stage], tuple[str, ...]]:
    """Fit every candidate at each input resolution that is tried; notes explain the resolution."""
    resolutions = select_resolutions(
        validated,
        backbone,
        resolution=options.resolution,
        regions=options.regions,
        limits=options.limits,
        threads=options.threads,
        seed=options.seed,
        progress=progress,
    )
    embedders = resolutions.embedders
    choose = labels_decide(validated)
    recomputed = [recomputes(validated, embedder) for embedder in embedders]
    room = min(map(room_for, embedders, recomputed))  # the same images at every resolution
    stages: list[_Stage] = []
    for number, embedder in enumerate(embedders, start=1):
        report = progress
        if len(embedders) > 1:
            report = _with_suffix(f"resolution {number} of {len(embedders)}", progress)
        alternatives = choose and not stages
        projections = bank_projections(
            embedder.channels,
            seed=options.seed,
            alternatives=alternatives,
            networks=embedder.networks,
        )
        area = inspected_area(validated, options.regions, embedder)
        features = collect_features(
            validated,
            embedder,
            projections,
            fold_of=fold_of,
            limits=options.limits,
            room=room,
            seed=options.seed,
            progress=report,
            area=area,
        )
        stages.append(_stage(features, embedder.size, options, report, area=area))
    return stages, resolutions.notes


def _with_suffix(suffix: str, progress: ProgressCallback) -> ProgressCallback:
    """Return a callback that appends the resolution to the step of a progress message."""
    return lambda report: progress(replace(report, step=f"{report.step}, {suffix}"))


def _stage(
    features: TrainingFeatures,
    size: tuple[int, int],
    options: TrainingOptions,
    progress: ProgressCallback,
    *,
    area: InspectedArea | None,
) -> _Stage:
    """Fit every candidate at one resolution."""
    seed = options.seed
    result = cross_validate(features, seed=seed, threads=options.threads, progress=progress)
    progress(Progress(step="fitting to all images", done=0, total=1))
    scorers = fit_scorers(features, (), seed=seed)
    features.embedded_images.clear()  # the largest part of the memory, and no longer needed
    table = score_table(result, features.grid, size=size)
    return _Stage(size=size, features=features, table=table, scorers=scorers, area=area)
