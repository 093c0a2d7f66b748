"""The part of the graph that says which anomaly type each pixel shows.

feature maps -> class logits of each patch -> enlarged to pixels -> class probabilities
"""

from __future__ import annotations

import numpy as np

from blemish.engine.embedding import FeatureMaps, add_readout
from blemish.engine.enlarging import add_enlarged
from blemish.engine.graph_writer import GraphWriter
from blemish.engine.heads import SegmentationHead


def add_class_probabilities(
    graph: GraphWriter, maps: FeatureMaps, head: SegmentationHead, size: tuple[int, int]
) -> None:
    """Write the probability of each class at each pixel, as an output."""
    classes, first = len(head.bias), graph.constant(np.array([0], dtype=np.int64))
    hidden = add_readout(graph, maps, weights=head.hidden_weights, bias=head.hidden_bias)
    kernel = graph.constant(head.weights.T[:, :, np.newaxis, np.newaxis])
    logits = graph.add("Conv", graph.add("Relu", hidden), kernel, graph.constant(head.bias))
    shape = graph.constant(np.array([classes, *maps.grid], dtype=np.int64))
    planes = graph.add("Reshape", logits, shape)
    enlarged = add_enlarged(graph, planes, maps.grid, size)
    # A softmax over the first axis, in parts: ONNX Runtime's own turns the array around for it.
    highest = graph.add("ReduceMax", enlarged, first, keepdims=1)
    odds = graph.add("Exp", graph.add("Sub", enlarged, highest))
    total = graph.add("ReduceSum", odds, first, keepdims=1)
    graph.add("Div", odds, total, output="class_probabilities")
    graph.output("class_probabilities", np.float32, (classes, *size))
