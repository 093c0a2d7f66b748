"""The work of a training process: labelled images from the store in, a bundle and files out."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blemish.domain.entities import DatasetEntry, DatasetType, EvaluationMethod, MaskOrientation
from blemish.domain.manifest import parse_line
from blemish.domain.regions import RegionMask
from blemish.domain.splitting import evaluation_method, split_rows
from blemish.engine.backbones.catalogue import is_packaged
from blemish.engine.bundle import Bundle
from blemish.engine.evaluation import (
    Evaluation,
    evaluate,
    measured_scores,
    with_unseen_images,
)
from blemish.engine.images.regions import Regions, decode_regions
from blemish.engine.images.sizes import ImageLimits
from blemish.engine.runtime import Detector
from blemish.engine.training.dataset_notes import cross_validation_notes, dataset_notes
from blemish.engine.training.labeled_images import ProgressCallback
from blemish.engine.training.train import TrainingOptions, TrainingReport, train_validated
from blemish.engine.training.unseen_images import UnseenImage
from blemish.engine.training.validation import ValidatedImage, validate_datasets
from blemish.runners.attempt_folder import seal_bundle
from blemish.runners.training_images import TrainingImages, open_training_images
from blemish.service.objects import Objects
from blemish.service.training.evaluation_files import (
    EvaluatedModel,
    manifest_lines,
    result_document,
)
from blemish.service.training.runner import TrainingResult, TrainingSpec
from blemish.storage.encryption.encryption import open_encryption
from blemish.storage.objects.open_store import open_store
from blemish.storage.stored_files import stored_lines

SEED = 0


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The training part or the test part of the datasets; images and entries go in pairs."""

    entries: Sequence[DatasetEntry]
    images: Sequence[ValidatedImage]


@dataclass(frozen=True, kw_only=True)
class _Tested:
    """The images that performance is measured on, and how they were judged."""

    #: all of them
    part: _Part
    #: those that the model was not trained on
    held_out: _Part
    evaluation: Evaluation
    method: EvaluationMethod
    #: sentences for people about the method
    notes: tuple[str, ...] = ()


def run_training(
    spec: TrainingSpec,
    *,
    progress: ProgressCallback,
    open_objects: Callable[[Mapping[str, Any]], Objects] = open_store,
) -> TrainingResult:
    """Train and evaluate; write a sealed bundle and evaluation files into the attempt's folder.

    Raises:
        EngineError: the data or the backbone cannot be used.
        ObjectError: the store cannot be read.
        EncryptionError: the entries cannot be opened, or the bundle cannot be sealed.
        OSError: the disk has no room for the result.
    """
    encryption = open_encryption(spec.encryption_connection)
    lines = stored_lines(Path(spec.entries), encryption=encryption)
    result, bundle = train_entries(
        spec, lines, objects=open_objects(spec.store_connection), progress=progress
    )
    seal_bundle(spec, bundle, encryption=encryption)
    return result


def train_entries(
    spec: TrainingSpec, lines: Iterable[str], *, objects: Objects, progress: ProgressCallback
) -> tuple[TrainingResult, Bundle]:
    """Train and evaluate; write the evaluation files into the attempt's folder.

    This needs no key, so another machine may do it.

    Args:
        spec: the training; its connection of the encryption is not used.
        lines: the frozen entries.
        objects: where the images are.
        progress: called after each image and each step.

    Raises:
        EngineError: the data or the backbone cannot be used.
        ObjectError: the store cannot be read.
        OSError: the disk has no room for the result.
    """
    entries, regions = _frozen_entries(lines)
    with open_training_images(
        objects,
        max_bytes=spec.limits.detect_body_bytes,
        folder=Path(spec.folder),
        mask_orientation=(
            MaskOrientation(spec.mask_orientation) if spec.mask_orientation else None
        ),
    ) as images:
        return _train_and_evaluate(spec, entries, images, regions=regions, progress=progress)


def _train_and_evaluate(
    spec: TrainingSpec,
    entries: dict[DatasetType, list[DatasetEntry]],
    images: TrainingImages,
    *,
    regions: Regions | None,
    progress: ProgressCallback,
) -> tuple[TrainingResult, Bundle]:
    single = DatasetType.TEST not in entries
    options = replace(_options(spec, single=single), regions=regions)
    training, test = _validated_parts(entries, images, options=options, progress=progress)
    report = train_validated(
        training.images,
        options=options,
        progress=progress,
        held_out=test.images if single else (),
    )
    evaluation = evaluate(
        Detector.load(report.bundle, threads=spec.threads),
        [entry.image for entry in test.images],
        limits=options.limits,
        mixed_sizes=spec.mixed_sizes,
        progress=progress,
        regions=regions,
    )
    method = evaluation_method(len(test.images), single=single)
    tested = _Tested(part=test, held_out=test, evaluation=evaluation, method=method)
    if method is EvaluationMethod.CROSS_VALIDATION:
        tested = _cross_validated(tested, training, report.unseen_images)
    info = replace(report.bundle.info, test_scores=measured_scores(tested.evaluation))
    result = _write_result(spec, tested, report, training=training)
    return result, replace(report.bundle, info=info)


def _write_result(
    spec: TrainingSpec, tested: _Tested, report: TrainingReport, *, training: _Part
) -> TrainingResult:
    """Write the evaluation files into the attempt's folder."""
    evaluation, test = tested.evaluation, tested.held_out
    ended_at = datetime.now(UTC)
    files = _write_files(spec, tested, training_images=len(training.entries), ended_at=ended_at)
    return TrainingResult(
        performance={
            "f1_score": evaluation.f1 or 0.0,
            "recall": evaluation.recall or 0.0,
            "precision": evaluation.precision or 0.0,
        },
        notes=(
            *_unusable_mask_notes([*training.entries, *test.entries]),
            *dataset_notes(training.images, test.images),
            *report.notes,
            *tested.notes,
            *evaluation.notes,
        ),
        evaluation_ended_at=ended_at.isoformat(),
        files=files,
        evaluation_method=tested.method,
    )


def _cross_validated(tested: _Tested, training: _Part, unseen: Sequence[UnseenImage]) -> _Tested:
    """Add the cross-validated training images to a small held-out part."""
    verdicts = {(image.digest, image.label): image for image in unseen}
    keys = [(image.digest, image.image.label) for image in training.images]
    part = _rows_of(training, [row for row, key in enumerate(keys) if key in verdicts])
    evaluation = with_unseen_images(
        tested.evaluation,
        [image.image for image in part.images],
        [verdicts[image.digest, image.image.label] for image in part.images],
    )
    test = tested.held_out
    return replace(
        tested,
        part=_Part(entries=[*test.entries, *part.entries], images=[*test.images, *part.images]),
        evaluation=evaluation,
        notes=cross_validation_notes(
            held_out=len(test.images),
            added=len(part.images),
            left_out=len(keys) - len(part.images),
        ),
    )


def _unusable_mask_notes(entries: Sequence[DatasetEntry]) -> tuple[str, ...]:
    """Return a sentence if masks were given and none of them is used."""
    reasons = Counter(entry.unusable_mask for entry in entries if entry.unusable_mask)
    if not reasons or any(entry.mask for entry in entries):
        return ()
    listed = " and ".join(f"{count:,} by '{name}'" for name, count in sorted(reasons.items()))
    return (
        "The model is a classification model, because no mask is used: the metadata of the masks "
        f"exclude {listed}.",
    )


def _options(spec: TrainingSpec, *, single: bool) -> TrainingOptions:
    limits = spec.limits
    return TrainingOptions(
        limits=ImageLimits.of(limits),
        mixed_sizes=spec.mixed_sizes,
        backbone=_backbone_source(spec.backbone),
        threads=spec.threads,
        seed=SEED,
        min_masks_per_type=(
            limits.single_min_masks_per_type if single else limits.two_min_masks_per_type
        ),
        false_alarm_rate=spec.detector_settings.sensitivity.false_alarm_rate,
        resolution=spec.detector_settings.resolution or spec.resolution,
    )


def _backbone_source(text: str | None) -> Path | str | None:
    return text if text is None or is_packaged(text) else Path(text)


def _frozen_entries(
    lines: Iterable[str],
) -> tuple[dict[DatasetType, list[DatasetEntry]], Regions | None]:
    """Return the frozen entries with a label, and the regions; no test dataset, no such key."""
    regions: Regions | None = None
    entries: dict[DatasetType, list[DatasetEntry]] = {DatasetType.TRAIN: []}
    for line in lines:
        frozen = json.loads(line)
        if "regions" in frozen:
            kind = RegionMask.of_document(frozen["regions"]).kind
            regions = decode_regions(base64.b64decode(frozen["png"]), kind)
            continue
        of_dataset = entries.setdefault(DatasetType(frozen["dataset"]), [])
        entry = parse_line(frozen["entry"])
        if entry.label is not None:
            of_dataset.append(entry)
    return entries, regions


def _validated_parts(
    entries: dict[DatasetType, list[DatasetEntry]],
    images: TrainingImages,
    *,
    options: TrainingOptions,
    progress: ProgressCallback,
) -> tuple[_Part, _Part]:
    """Validate all images; return the part to train on and the part to test on."""
    train_entries = entries[DatasetType.TRAIN]
    test_entries = entries.get(DatasetType.TEST, [])
    datasets = validate_datasets(
        [images.labeled(entry) for entry in train_entries],
        [images.labeled(entry) for entry in test_entries],
        limits=options.limits,
        mixed_sizes=options.mixed_sizes,
        progress=progress,
    )
    training = _Part(entries=train_entries, images=datasets.training)
    if DatasetType.TEST in entries:
        return training, _Part(entries=test_entries, images=datasets.test)
    return _split(training)


def _split(part: _Part) -> tuple[_Part, _Part]:
    """Split off a test part."""
    labels = [image.image.label for image in part.images]
    test_rows = set(split_rows(labels, [image.digest.hex() for image in part.images]))
    rows = range(len(labels))
    return (
        _rows_of(part, [row for row in rows if row not in test_rows]),
        _rows_of(part, [row for row in rows if row in test_rows]),
    )


def _rows_of(part: _Part, rows: Sequence[int]) -> _Part:
    return _Part(
        entries=[part.entries[row] for row in rows], images=[part.images[row] for row in rows]
    )


def _write_files(
    spec: TrainingSpec, tested: _Tested, *, training_images: int, ended_at: datetime
) -> dict[str, str]:
    """Write the evaluation files into the attempt's folder; return their names with their keys."""
    folder = Path(spec.folder)
    model = EvaluatedModel(
        project=spec.project,
        version=spec.version,
        arn=spec.arn,
        output_bucket=spec.output_bucket,
        output_prefix=spec.output_prefix,
    )
    evaluation = tested.evaluation
    lines = manifest_lines(model, list(tested.part.entries), evaluation, ended_at=ended_at)
    result = result_document(
        model,
        evaluation,
        training_images=training_images,
        ended_at=ended_at,
        method=tested.method,
    )
    contents = {"manifest": "\n".join(lines) + "\n", "result": json.dumps(result, indent=2)}
    for name, text in contents.items():
        (folder / name).write_text(text, encoding="utf-8")
    files = {"manifest": spec.evaluation_keys.manifest, "result": spec.evaluation_keys.result}
    for row, verdict in enumerate(evaluation.verdicts):
        if verdict.mask_png is not None:
            (folder / f"{row}.png").write_bytes(verdict.mask_png)
            files[f"{row}.png"] = model.mask_key(row)
    return files
