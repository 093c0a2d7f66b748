"""Input resolutions: at which sizes a graph may see the images.

A backbone is as good at a defect of a certain size in its input as at that size in any other. What
is small in a large image is seen at a higher resolution, which costs in proportion to its pixels.
Networks of convolutions see a large input as they would see tiles of it, without seams.
"""

from __future__ import annotations

import onnx
from onnx import numpy_helper, shape_inference

from blemish.engine.backbones.backbone import Backbone
from blemish.engine.images.resize import graph_size

LONG_SIDES = (256, 512)
"""Of the graph's images: the usual one, and the one that is tried where labels can tell."""

LEAST_SHRUNK = 2
"""Images are tried at a size only if they are so many times as large: four times the usual. In
smaller ones little is lost, and trying doubles the time of a training, or more."""

MOST_OPERATIONS = 15e9
"""Multiplications of the backbone on one image, so that a detection takes tens of milliseconds.
ResNet-18 takes 7.3e9 at 512 x 512."""

MOST_IN_ALL = 4e12
"""Of the backbone on all images of a training at the higher resolution: about a minute of two
cores."""


def input_sizes(
    image: tuple[int, int], backbone: Backbone, *, images: int, choose: bool
) -> list[tuple[int, int]]:
    """Return the (width, height) that a training tries, the smallest first.

    Args:
        image: (width, height) of the images, upright.
        backbone: that is to see them.
        images: how many there are.
        choose: whether there are labels to choose by.
    """
    usual = graph_size(*image, long_side=LONG_SIDES[0], step=backbone.step)
    sizes = [usual]
    for long_side in LONG_SIDES[1:] if choose else ():
        large = graph_size(*image, long_side=long_side, step=backbone.step)
        if max(image) < LEAST_SHRUNK * max(large):
            continue
        if multiplications(backbone, *large) <= min(MOST_OPERATIONS, MOST_IN_ALL / images):
            sizes.append(large)
    return sizes


def multiplications(backbone: Backbone, width: int, height: int) -> float:
    """Return how many numbers a backbone multiplies by its weights for one image."""
    model = onnx.ModelProto()
    model.CopyFrom(backbone.model)
    its = next(entry for entry in model.graph.input if entry.name == backbone.input_name)
    shape = its.type.tensor_type.shape
    del shape.dim[:]  # a file may say more or less of its input than how long its sides are
    for length in (1, 3, height, width):
        shape.dim.add().dim_value = length
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    places = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*inferred.value_info, *inferred.output]
    }
    weights = {entry.name: numpy_helper.to_array(entry).shape for entry in inferred.initializer}
    total = 0.0
    for node in inferred.node:
        kernel = weights.get(node.input[1]) if len(node.input) > 1 else None
        if kernel is None or node.op_type not in {"Conv", "Gemm", "MatMul"}:
            continue
        made = places.get(node.output[0], [])
        positions = made[2:] if node.op_type == "Conv" else made[:-1]
        count = 1.0
        for length in (*kernel, *positions):
            count *= max(length, 1)
        total += count
    return total
