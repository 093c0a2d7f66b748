"""The whole detector as one ONNX graph: pixels in; score, verdict, confidence, maps out.

pixels -> backbone -> feature maps -+-> projection -> distance to the memory bank -> patch scores
                                    |                patch scores -+-> image score -> verdict
                                    |                              +-> anomaly map
                                    +-> class logits of each patch -> class probabilities
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from blemish.engine.backbones import Backbone
from blemish.engine.calibration import Calibration
from blemish.engine.embedding import FeatureMaps, add_features, add_readout
from blemish.engine.enlarging import add_enlarged
from blemish.engine.graph_segmentation import add_class_probabilities
from blemish.engine.graph_writer import GraphWriter
from blemish.engine.heads import SegmentationHead
from blemish.engine.scorers import MemoryBank, top_count


@dataclass(frozen=True, kw_only=True)
class DetectorParts:
    """What a detector is made of."""

    backbone: Backbone
    #: (d, p)
    projection: NDArray[np.float32]
    bank: MemoryBank
    calibration: Calibration
    #: None for a classification model
    head: SegmentationHead | None


def detector_graph(parts: DetectorParts, *, width: int, height: int) -> onnx.ModelProto:
    """Write a detector for pictures of one size.

    Inputs: `pixels` (1, height, width, 3) uint8 RGB, and `threshold`, which may be left out.
    Outputs: `score`, `confidence`, `is_anomalous`, `anomaly_map` (height, width), and with a
    segmentation head `class_probabilities` (classes, height, width), the background first.

    Raises:
        BackboneError: the backbone does not run on pictures of this size.
    """
    graph = GraphWriter()
    maps = add_features(graph, parts.backbone, width=width, height=height)
    patch_scores = _add_patch_scores(graph, maps, parts)
    _add_verdict(graph, patch_scores, maps, parts.calibration)

    h, w = maps.grid
    grid = graph.add("Reshape", patch_scores, _ints(graph, h, w))
    anomaly_map = add_enlarged(graph, grid, maps.grid, (height, width))
    graph.add("Identity", anomaly_map, output="anomaly_map")
    graph.output("anomaly_map", np.float32, (height, width))

    if parts.head is not None:
        add_class_probabilities(graph, maps, parts.head, (height, width))
    return graph.model()


def _add_patch_scores(graph: GraphWriter, maps: FeatureMaps, parts: DetectorParts) -> str:
    """Write `MemoryBank.patch_scores`; the result is (n,)."""
    bank = parts.bank
    readout = add_readout(graph, maps, weights=parts.projection, bias=-bank.center)
    h, w = maps.grid
    columns = graph.add("Reshape", readout, _ints(graph, bank.rows.shape[1], h * w))
    queries = graph.add("Transpose", columns, perm=[1, 0])
    norms = np.einsum("mp,mp->m", bank.rows, bank.rows)
    products = graph.add("Gemm", queries, graph.constant(-2 * bank.rows.T), graph.constant(norms))
    nearest = graph.add("ReduceMin", products, _ints(graph, 1), keepdims=0)
    squares = graph.add("ReduceSumSquare", columns, _ints(graph, 0), keepdims=0)
    return graph.add("Sqrt", graph.add("Relu", graph.add("Add", nearest, squares)))


def _add_verdict(
    graph: GraphWriter, patch_scores: str, maps: FeatureMaps, calibration: Calibration
) -> None:
    """Write image score, verdict and its confidence, as outputs."""

    def scalar(value: float) -> str:
        return graph.constant(np.array(value, dtype=np.float32))

    default = np.array(calibration.threshold, dtype=np.float32)
    threshold = graph.input_with_default("threshold", default)
    h, w = maps.grid
    top = graph.add_top(patch_scores, top_count(h * w))
    score = graph.add("ReduceMean", top, output="score", keepdims=0)
    verdict = graph.add("GreaterOrEqual", score, threshold, output="is_anomalous")
    distance = graph.add("Sub", score, scalar(calibration.midpoint))
    probability = graph.add("Sigmoid", graph.add("Mul", distance, scalar(calibration.slope)))
    opposite = graph.add("Sub", scalar(1), probability)
    graph.add("Where", verdict, probability, opposite, output="confidence")
    graph.output("score", np.float32, ())
    graph.output("confidence", np.float32, ())
    graph.output("is_anomalous", np.bool_, ())


def _ints(graph: GraphWriter, *values: int) -> str:
    return graph.constant(np.array(values, dtype=np.int64))
