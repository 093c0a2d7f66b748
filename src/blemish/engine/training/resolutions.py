"""Input resolutions: the sizes at which a graph may process the images.

How well a backbone detects a defect depends on the defect's size in the input, not on the input's.
Small defects of large images need a higher resolution, whose cost is proportional to its pixels.
"""

from __future__ import annotations

import onnx
from onnx import numpy_helper, shape_inference

from blemish.engine.backbones.backbone import Backbone
from blemish.engine.images.resize import graph_size

LONG_SIDES = (256, 512, 1_024)
"""Long sides of the graph's images: the default, and those to try on images at least as large."""

MOST_OPERATIONS = 15e9
"""Multiplications of the backbone on one image, so that a detection takes tenths of a second.
ResNet-18 takes 7.3e9 at 512 x 512."""

MOST_IN_ALL = 4e12
"""Multiplications of the backbone on all images of a training at the higher resolution: about a
minute of two cores."""


def input_sizes(
    image: tuple[int, int], backbone: Backbone, *, images: int, resolution: int | None = None
) -> list[tuple[int, int]]:
    """Return the (width, height) that a training may use, the smallest first.

    Args:
        image: (width, height) of the images, upright.
        backbone: of the detector.
        images: the number of images.
        resolution: the long side in pixels that is set for the detector, whatever it takes.
    """

    def size(long_side: int) -> tuple[int, int]:
        step = backbone.step
        return graph_size(*image, long_side=max(long_side, step), step=step)

    if resolution is not None:
        return [size(resolution)]
    sizes = [size(LONG_SIDES[0])]
    for long_side in LONG_SIDES[1:]:
        if max(image) < long_side:
            break
        operations = multiplications(backbone, *size(long_side))
        if operations > min(MOST_OPERATIONS, MOST_IN_ALL / images):
            break
        sizes.append(size(long_side))
    return sizes


def multiplications(backbone: Backbone, width: int, height: int) -> float:
    """Return the multiplications by weights that a backbone needs for one image."""
    model = onnx.ModelProto()
    model.CopyFrom(backbone.model)
    image = next(entry for entry in model.graph.input if entry.name == backbone.input_name)
    shape = image.type.tensor_type.shape
    del shape.dim[:]  # a file may declare its sides or not
    for length in (1, 3, height, width):
        shape.dim.add().dim_value = length
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*inferred.value_info, *inferred.output]
    }
    weights = {entry.name: numpy_helper.to_array(entry).shape for entry in inferred.initializer}
    total = 0.0
    for node in inferred.node:
        kernel = weights.get(node.input[1]) if len(node.input) > 1 else None
        if kernel is None or node.op_type not in {"Conv", "Gemm", "MatMul"}:
            continue
        output = shapes.get(node.output[0], [])
        positions = [*output[:1], *output[2:]] if node.op_type == "Conv" else output[:-1]
        count = 1.0
        for length in (*kernel, *positions):
            count *= max(length, 1)
        total += count
    return total
