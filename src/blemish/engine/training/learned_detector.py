"""What a training has learned before it is a bundle, and its history for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.engine.bundle import AnomalyType, BundleRegions
from blemish.engine.graph.detector_graph import DetectorParts
from blemish.engine.metrics import precision_recall_f1, roc_auc
from blemish.engine.normal_images import NormalImages
from blemish.engine.scorers.scorer import Scorer
from blemish.engine.training.selection import Selection
from blemish.engine.training.unseen_images import UnseenImage

LIBRARIES = ("blemish", "numpy", "onnx", "onnxruntime", "pillow")


@dataclass(frozen=True, kw_only=True)
class LearnedDetector:
    """A fitted detector without its bundle."""

    #: (width, height) of the graph
    size: tuple[int, int]
    parts: DetectorParts
    selection: Selection
    #: (m,) of the images that `selection` has scores of
    anomalous: NDArray[np.bool_]
    #: positional scorer -> alignment of the normal images by its scores
    alignments: Mapping[Scorer, float]
    types: tuple[AnomalyType, ...]
    notes: tuple[str, ...]
    unseen_images: tuple[UnseenImage, ...]
    regions: BundleRegions | None
    normal_images: NormalImages | None


def bundle_history(learned: LearnedDetector, *, seed: int, threads: int) -> dict[str, Any]:
    """Describe for people how the detector was trained."""
    backbone, calibration = learned.parts.backbone, learned.parts.calibration
    anomalous, scores = learned.anomalous, learned.selection.scores
    metrics = precision_recall_f1(anomalous, scores >= calibration.threshold + calibration.gain)
    return {
        "backbone": {"name": backbone.name, "sha256": backbone.sha256},
        "seed": seed,
        "threads": threads,
        "held_out_images": {
            "normal": int((~anomalous).sum()),
            "anomaly": int(anomalous.sum()),
            **metrics._asdict(),
            "image_auroc": roc_auc(anomalous, scores),
        },
        "selection": {
            "chosen": learned.selection.candidate.name,
            "scores": {
                str(key): share for key, share in learned.selection.candidate.shares.items()
            },
            "graph_size": list(learned.size),
            "alignment": {scorer.name: value for scorer, value in learned.alignments.items()},
            "candidates": [
                {
                    "name": result.candidate.name,
                    "image_auroc": result.image_auroc,
                    "standard_error": result.standard_error,
                }
                for result in learned.selection.results
            ],
        },
        "confidence": {"slope": calibration.slope, "midpoint": calibration.midpoint},
        "versions": {name: version(name) for name in LIBRARIES},
        "notes": learned.notes,
    }
