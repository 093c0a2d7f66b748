"""What a training process does: labelled images from the store; a bundle and evaluation files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from blemish.domain.entities import DatasetEntry, DatasetType, ObjectRef
from blemish.domain.limits import Limits
from blemish.domain.manifest import parse_line
from blemish.domain.splitting import split_rows
from blemish.engine.evaluation import Evaluation, evaluate, measured_scores
from blemish.engine.images.decode import ImageError, ImageLimits
from blemish.engine.runtime import Detector
from blemish.engine.training.labeled_images import (
    LabeledImage,
    Progress,
    ProgressCallback,
    TrainingMask,
)
from blemish.engine.training.train import TrainingOptions, train
from blemish.service.models.bundles import write_sealed
from blemish.service.objects import Objects
from blemish.service.training.evaluation_files import (
    EvaluatedModel,
    evaluation_keys,
    manifest_lines,
    mask_key,
    result_document,
)
from blemish.service.training.runner import TrainingJob, TrainingResult
from blemish.storage.encryption.encryption import open_encryption
from blemish.storage.errors import ObjectTooLargeError
from blemish.storage.objects.open_store import open_store
from blemish.storage.stored_files import kept_lines

SEED = 0


def carry_out(job: TrainingJob, *, progress: ProgressCallback) -> TrainingResult:
    """Train and evaluate; write the bundle, sealed, and evaluation files into the job's folder.

    Raises:
        EngineError: the data or the backbone cannot be used.
        ObjectError: an image or mask cannot be read.
        EncryptionError: the entries cannot be opened, or the bundle cannot be sealed.
        OSError: there is no room for what is written.
    """
    folder = Path(job.folder)
    limits = Limits(**job.limits)
    options = TrainingOptions(
        limits=ImageLimits.of(limits),
        mixed_sizes=job.mixed_sizes,
        backbone=Path(job.backbone) if job.backbone else None,
        threads=job.threads,
        seed=SEED,
        min_masks_per_type=limits.two_min_masks_per_type,
    )
    images = _Images(open_store(job.reach), max_bytes=limits.detect_body_bytes)
    encryption = open_encryption(job.encryption)
    lines = kept_lines(Path(job.entries), encryption=encryption)
    train_entries, test_entries, single = _parts(lines, images, progress=progress)
    if single:
        options = replace(options, min_masks_per_type=limits.single_min_masks_per_type)

    report = train(
        [_labeled(entry, images) for entry in train_entries], options=options, progress=progress
    )
    evaluation = evaluate(
        Detector.load(report.bundle, threads=job.threads),
        [_labeled(entry, images) for entry in test_entries],
        limits=options.limits,
        mixed_sizes=job.mixed_sizes,
        progress=progress,
    )
    info = replace(report.bundle.info, test_scores=measured_scores(evaluation))
    measured = replace(report.bundle, info=info)
    bundle = folder / "bundle"
    bundle.mkdir()
    write_sealed(
        measured, bundle, name=job.bundle, kms_key_id=job.kms_key_id, encryption=encryption
    )
    ended_at = datetime.now(UTC)
    files = _write_files(
        job, test_entries, evaluation, training_images=len(train_entries), ended_at=ended_at
    )
    return TrainingResult(
        performance={
            "f1_score": evaluation.f1 or 0.0,
            "recall": evaluation.recall or 0.0,
            "precision": evaluation.precision or 0.0,
        },
        notes=report.notes + evaluation.notes,
        evaluation_ended_at=ended_at.isoformat(),
        files=files,
    )


def _parts(
    lines: Iterable[str], images: _Images, *, progress: ProgressCallback
) -> tuple[list[DatasetEntry], list[DatasetEntry], bool]:
    """Read the frozen entries; return those to train on, those to test on, and if one was split.

    Images without a label are in neither.
    """
    parts: dict[str, list[DatasetEntry]] = {kind: [] for kind in DatasetType}
    single = True
    for line in lines:
        frozen = json.loads(line)
        entry = parse_line(frozen["entry"])
        single = single and frozen["dataset"] == DatasetType.TRAIN
        if entry.label is not None:
            parts[frozen["dataset"]].append(entry)
    train_entries, test_entries = parts[DatasetType.TRAIN], parts[DatasetType.TEST]
    if single:
        train_entries, test_entries = _split(train_entries, images, progress=progress)
    return train_entries, test_entries, single


def _split(
    entries: list[DatasetEntry], images: _Images, *, progress: ProgressCallback
) -> tuple[list[DatasetEntry], list[DatasetEntry]]:
    hashes = []
    for done, entry in enumerate(entries):
        progress(Progress(step="splitting off a test part", done=done, total=len(entries)))
        try:
            data = images.image(entry.image)
        except ImageError:
            data = b""  # whichever part has it counts it among the problems
        hashes.append(hashlib.sha256(data).hexdigest())
    labels = [entry.label for entry in entries if entry.label is not None]
    chosen = set(split_rows(labels, hashes))
    return (
        [entry for row, entry in enumerate(entries) if row not in chosen],
        [entry for row, entry in enumerate(entries) if row in chosen],
    )


class _Images:
    """The images in the store; one that is too large is a problem of its own, as a broken one."""

    def __init__(self, objects: Objects, *, max_bytes: int) -> None:
        self._objects = objects
        self._max_bytes = max_bytes

    def image(self, ref: ObjectRef) -> bytes:
        """Read an image.

        Raises:
            ImageError: it is too large.
            ObjectError: it cannot be read.
        """
        return self._read(ref, "image")

    def mask(self, ref: ObjectRef) -> bytes:
        """Read a mask; errors as `image`."""
        return self._read(ref, "mask")

    def _read(self, ref: ObjectRef, what: str) -> bytes:
        try:
            return self._objects.read(ref, max_bytes=self._max_bytes)
        except ObjectTooLargeError as error:
            raise ImageError(f"The {what} {error.told}") from error


def _labeled(entry: DatasetEntry, images: _Images) -> LabeledImage:
    assert entry.label is not None
    return LabeledImage(
        name=str(entry.image),
        label=entry.label,
        read=partial(images.image, entry.image),
        mask=TrainingMask(read=partial(images.mask, entry.mask.ref), colors=entry.mask.colors)
        if entry.mask
        else None,
    )


def _write_files(
    job: TrainingJob,
    entries: list[DatasetEntry],
    evaluation: Evaluation,
    *,
    training_images: int,
    ended_at: datetime,
) -> dict[str, str]:
    """Write the evaluation files below the job's folder; return their names with their keys."""
    folder = Path(job.folder)
    model = EvaluatedModel(
        project=job.project,
        version=job.version,
        arn=job.arn,
        output_bucket=job.output_bucket,
        output_prefix=job.output_prefix,
    )
    manifest_key, result_key = evaluation_keys(job.output_prefix, job.project, version=job.version)
    lines = manifest_lines(model, entries, evaluation, ended_at=ended_at)
    result = result_document(model, evaluation, training_images=training_images, ended_at=ended_at)
    contents = {"manifest": "\n".join(lines) + "\n", "result": json.dumps(result, indent=2)}
    for name, text in contents.items():
        (folder / name).write_text(text, encoding="utf-8")
    files = {"manifest": manifest_key, "result": result_key}
    for row, verdict in enumerate(evaluation.verdicts):
        if verdict.mask_png is not None:
            (folder / f"{row}.png").write_bytes(verdict.mask_png)
            files[f"{row}.png"] = mask_key(model, row)
    return files
