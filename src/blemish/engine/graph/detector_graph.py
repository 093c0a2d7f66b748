"""The whole detector as one ONNX graph: pixels in; score, verdict, confidence, maps out.

pixels -> backbone -> feature maps -+-> patch scores -+-> top mean -+-> image score -> verdict
                                    |                 +-> anomaly map
                                    +-> pooled embedding -> scores -+
                                    +-> class logits of each patch -> class probabilities
                                    +-> mean embedding -> embedding distance
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from blemish.engine.backbones.backbone import Backbone
from blemish.engine.backbones.embedding import FeatureMaps, add_features
from blemish.engine.graph.embedding_distance import add_embedding_distance
from blemish.engine.graph.scoring import GraphScores, add_scores
from blemish.engine.graph.segmentation import add_class_probabilities
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.images.regions import InspectedArea
from blemish.engine.images.upsample import add_upsampled
from blemish.engine.normal_images import EmbeddingReference
from blemish.engine.scorers.patch_classifier import PatchClassifier
from blemish.engine.scorers.scorer import FittedScorer, ScoreKey, Scorer
from blemish.engine.training.calibration import Calibration
from blemish.engine.training.fusion import Fusion


@dataclass(frozen=True, kw_only=True)
class DetectorParts:
    """The fitted parts of a detector."""

    backbone: Backbone
    #: in the order of the registry
    scorers: Mapping[Scorer, FittedScorer]
    #: positional scorer -> (n,) scale of each position
    scales: Mapping[Scorer, NDArray[np.float32]]
    #: of the image score
    fusion: Fusion
    #: of the anomaly map: patch scores alone, none by position
    map_fusion: Fusion
    calibration: Calibration
    #: None for a classification model
    head: PatchClassifier | None
    #: what counts in an image; None for everything
    area: InspectedArea | None = None
    #: None if the normal images are too few to compare others with
    reference: EmbeddingReference | None = None


def detector_graph(parts: DetectorParts, *, width: int, height: int) -> onnx.ModelProto:
    """Write a detector for images of one size.

    Inputs: `pixels` (1, height, width, 3) uint8 RGB, and `threshold`, which may be left out.
    Outputs: `score`, `confidence`, `is_anomalous`, `anomaly_map` (height, width), with a
    segmentation head `class_probabilities` (classes, height, width), the background first, and with
    a reference `embedding_distance`.

    Raises:
        BackboneError: the backbone does not run on images of this size.
    """
    graph = GraphWriter()
    maps = add_features(graph, parts.backbone, width=width, height=height, area=parts.area)
    keys = dict.fromkeys([*parts.fusion.weights, *parts.map_fusion.weights])
    scores = add_scores(graph, maps, parts.scorers, keys, scales=parts.scales)
    _add_verdict(graph, scores, parts.fusion, parts.calibration)
    _add_anomaly_map(graph, scores, maps, parts.map_fusion, (height, width))
    if parts.head is not None:
        add_class_probabilities(graph, maps, parts.head, (height, width))
    if parts.reference is not None:
        add_embedding_distance(graph, maps, parts.reference)
    return graph.model()


def _add_verdict(
    graph: GraphWriter, scores: GraphScores, fusion: Fusion, calibration: Calibration
) -> None:
    """Write image score, verdict and its confidence, as outputs."""
    default = np.array(calibration.threshold, dtype=np.float32)
    threshold = graph.input_with_default("threshold", default)
    fused = _add_fused(graph, fusion, {key: scores.image_score(key) for key in fusion.weights})
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
    scores: GraphScores,
    maps: FeatureMaps,
    fusion: Fusion,
    size: tuple[int, int],
) -> None:
    fused = _add_fused(graph, fusion, {key: scores.patch_scores[key] for key in fusion.weights})
    grid = graph.add("Reshape", fused, graph.ints(*maps.grid))
    upsampled = add_upsampled(graph, grid, maps.grid, size)
    if maps.regions is None:
        graph.add("Identity", upsampled, output="anomaly_map")
    else:
        maps.regions.add_where_inspected(graph, upsampled, graph.scalar(0), output="anomaly_map")
    graph.output("anomaly_map", np.float32, size)


def _add_fused(graph: GraphWriter, fusion: Fusion, values: Mapping[ScoreKey, str]) -> str:
    """Write `Fusion.fuse` for scores of one image, or for those of its patches."""
    parts = [
        graph.add("Mul", values[key], graph.scalar(weight))
        for key, weight in fusion.weights.items()
    ]
    return graph.add("Add", graph.add("Sum", *parts), graph.scalar(fusion.base))
