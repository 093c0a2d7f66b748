"""How well the engine detects: on a fixed split, and over five outer folds of all pictures.

    python -m benchmarks.quality [FOLDER ...] [--backbone FILE.onnx] [--results FILE.json]

Folds are by the pictures' bytes: identical pictures stay together, but neighbours of a series do
not, so where a folder shows one product several times its numbers flatter.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.folders import read_folder
from blemish.domain.entities import Label
from blemish.engine.evaluation import Evaluation, Verdict, evaluate
from blemish.engine.folds import assign_folds
from blemish.engine.images import ImageLimits
from blemish.engine.labeled import LabeledImage
from blemish.engine.metrics import precision_recall_f1
from blemish.engine.runtime import Detector
from blemish.engine.training import TrainingOptions, train

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("BLEMISH_SHARED", ROOT.parent / "shared"))
LIMITS = ImageLimits(min_side=64, max_side=16_384, max_pixels=100_000_000)
OUTER_FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training and the evaluation of its bundle."""

    evaluation: Evaluation
    training_s: float
    peak_mib: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is reported of one folder with one backbone; scores from 0 to 1."""

    folder: str
    backbone: str
    images: int
    folds_f1: float
    folds_image_auroc: float
    folds_average_iou: float | None
    split_mistakes: str
    split_f1: float
    split_image_auroc: float
    training_s: float
    peak_mib: float


def try_out(
    train_part: Sequence[LabeledImage], test_part: Sequence[LabeledImage], backbone: Path | None
) -> Trial:
    """Train on one part and evaluate on the other."""
    options = TrainingOptions(
        limits=LIMITS, mixed_sizes=True, backbone=backbone, threads=2, seed=0, min_masks_per_type=5
    )
    start = time.perf_counter()
    bundle = train(train_part, options=options, progress=lambda _: None).bundle
    training_s = time.perf_counter() - start
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    detector = Detector.load(bundle, threads=2)
    evaluation = evaluate(
        detector, test_part, limits=LIMITS, mixed_sizes=True, progress=lambda _: None
    )
    return Trial(evaluation=evaluation, training_s=training_s, peak_mib=peak_mib)


def measure(folder: Path, backbone: Path | None) -> Row:
    """Measure one folder, every training in a process of its own."""
    train_part, test_part = read_folder(folder)
    images = train_part + test_part
    digests = [sha256(image.read()).digest() for image in images]
    fold_of = assign_folds(digests, [image.label for image in images], folds=OUTER_FOLDS)

    context = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        fixed = pool.submit(try_out, train_part, test_part, backbone).result()
        trials = [
            pool.submit(
                try_out,
                [image for image, its in zip(images, fold_of, strict=True) if its != fold],
                [image for image, its in zip(images, fold_of, strict=True) if its == fold],
                backbone,
            ).result()
            for fold in range(OUTER_FOLDS)
        ]
    held_out = [verdict for trial in trials for verdict in trial.evaluation.verdicts]
    overlaps = [
        kind.average_iou
        for trial in trials
        for kind in trial.evaluation.anomaly_types or ()
        if kind.average_iou is not None
    ]
    return Row(
        folder=folder.name,
        backbone=backbone.stem if backbone else "built-in",
        images=len(images),
        folds_f1=_f1(held_out),
        folds_image_auroc=float(np.mean([trial.evaluation.roc_auc for trial in trials])),
        folds_average_iou=float(np.mean(overlaps)) if overlaps else None,
        split_mistakes=f"{_mistakes(fixed.evaluation.verdicts)} of {len(test_part)}",
        split_f1=_f1(fixed.evaluation.verdicts),
        split_image_auroc=fixed.evaluation.roc_auc or 0.0,
        training_s=fixed.training_s,
        peak_mib=fixed.peak_mib,
    )


def _f1(verdicts: Sequence[Verdict]) -> float:
    truth = np.array([verdict.label is Label.ANOMALY for verdict in verdicts])
    called = np.array([verdict.is_anomalous for verdict in verdicts])
    return precision_recall_f1(truth, called).f1 or 0.0


def _mistakes(verdicts: Sequence[Verdict]) -> int:
    return sum(verdict.is_anomalous != (verdict.label is Label.ANOMALY) for verdict in verdicts)


def main() -> None:
    """Measure what the command line names and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", nargs="*", type=Path, default=[SHARED / "data" / "cookies"])
    parser.add_argument("--backbone", type=Path, action="append", default=None)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks/results/quality.json")
    arguments = parser.parse_args()
    backbones = arguments.backbone or [None, SHARED / "weights" / "resnet18-layer1-3.onnx"]

    rows: list[dict[str, object]] = []
    for folder in arguments.folders:
        for backbone in backbones:
            row = asdict(measure(folder, backbone))
            if not rows:
                print(" | ".join(row))
            rows.append(row)
            print(" | ".join(_text(value) for value in row.values()), flush=True)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    arguments.results.write_text(json.dumps(rows, indent=2) + "\n")


def _text(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
