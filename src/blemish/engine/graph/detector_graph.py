"""The whole detector as one ONNX graph: pixels in; score, verdict, confidence, maps out.

pixels -> backbone -> feature maps -+-> patch scores -+-> top mean -+-> image score -> verdict
                                    |                 +-> anomaly map
                                    +-> pooled embedding -> scores -+
                                    +-> class logits of each patch -> class probabilities
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from blemish.engine.backbones.backbone import Backbone
from blemish.engine.backbones.embedding import FeatureMaps, add_features
from blemish.engine.graph.scoring import GraphScorers
from blemish.engine.graph.segmentation import add_class_probabilities
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.images.upsample import add_upsampled
from blemish.engine.scorers.patch_classifier import PatchClassifier
from blemish.engine.training.calibration import Calibration
from blemish.engine.training.cross_validation import Parts
from blemish.engine.training.fusion import Fusion


@dataclass(frozen=True, kw_only=True)
class DetectorParts:
    """What a detector is made of."""

    backbone: Backbone
    parts: Parts
    #: patch scorer -> (n,) scale of each place
    scales: dict[str, NDArray[np.float32]]
    #: of the image score
    fusion: Fusion
    #: of the anomaly map, from patch scores alone
    map_fusion: Fusion
    calibration: Calibration
    #: None for a classification model
    head: PatchClassifier | None


def detector_graph(parts: DetectorParts, *, width: int, height: int) -> onnx.ModelProto:
    """Write a detector for images of one size.

    Inputs: `pixels` (1, height, width, 3) uint8 RGB, and `threshold`, which may be left out.
    Outputs: `score`, `confidence`, `is_anomalous`, `anomaly_map` (height, width), and with a
    segmentation head `class_probabilities` (classes, height, width), the background first.

    Raises:
        BackboneError: the backbone does not run on images of this size.
    """
    graph = GraphWriter()
    maps = add_features(graph, parts.backbone, width=width, height=height)
    scorers = GraphScorers(graph, maps, parts.parts, scales=parts.scales)
    used = [*parts.fusion.weights, *parts.map_fusion.weights]
    scorers.add(list(dict.fromkeys(used)))
    _add_verdict(graph, scorers, parts.fusion, parts.calibration)
    _add_anomaly_map(graph, scorers, maps, parts.map_fusion, (height, width))
    if parts.head is not None:
        add_class_probabilities(graph, maps, parts.head, (height, width))
    return graph.model()


def _add_verdict(
    graph: GraphWriter, scorers: GraphScorers, fusion: Fusion, calibration: Calibration
) -> None:
    """Write image score, verdict and its confidence, as outputs."""
    default = np.array(calibration.threshold, dtype=np.float32)
    threshold = graph.input_with_default("threshold", default)
    fused = _add_fused(graph, fusion, {name: scorers.image_score(name) for name in fusion.weights})
    score = graph.add("Identity", fused, output="score")
    verdict = graph.add("GreaterOrEqual", score, threshold, output="is_anomalous")
    distance = graph.add("Sub", score, graph.scalar(calibration.midpoint))
    probability = graph.add("Sigmoid", graph.add("Mul", distance, graph.scalar(calibration.slope)))
    opposite = graph.add("Sub", graph.scalar(1), probability)
    graph.add("Where", verdict, probability, opposite, output="confidence")
    graph.output("score", np.float32, ())
    graph.output("confidence", np.float32, ())
    graph.output("is_anomalous", np.bool_, ())


def _add_anomaly_map(
    graph: GraphWriter,
    scorers: GraphScorers,
    maps: FeatureMaps,
    fusion: Fusion,
    size: tuple[int, int],
) -> None:
    fused = _add_fused(graph, fusion, {name: scorers.patch_scores[name] for name in fusion.weights})
    grid = graph.add("Reshape", fused, graph.ints(*maps.grid))
    graph.add("Identity", add_upsampled(graph, grid, maps.grid, size), output="anomaly_map")
    graph.output("anomaly_map", np.float32, size)


def _add_fused(graph: GraphWriter, fusion: Fusion, values: dict[str, str]) -> str:
    """Write `Fusion.fuse` for scores of one image, or for those of its patches."""
    parts = [
        graph.add("Mul", values[name], graph.scalar(weight))
        for name, weight in fusion.weights.items()
    ]
    return graph.add("Add", graph.add("Sum", *parts), graph.scalar(fusion.base))
