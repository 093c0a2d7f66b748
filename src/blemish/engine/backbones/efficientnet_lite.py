"""EfficientNet-Lite 0 to 4 as backbones: convolutions alone, fast on any CPU.

The feature maps are the expanded features before the strided depthwise convolutions at strides 8
and 16. They are the widest ones there, and still have the larger grid.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
ICML 2019, table 1; Google, "EfficientNet-Lite", 2020: no squeeze-and-excitation, ReLU6, stem and
head of fixed width. Names of the weights as in the package efficientnet-lite-pytorch.
"""

from __future__ import annotations

import numpy as np

from blemish.engine.backbones.weights import WeightedWriter
from blemish.engine.errors import BackboneError

STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Stride of the first block of each stage; a stage ends where the number of channels changes."""

LAYER_STAGES = {3: "layer2", 5: "layer3"}
"""Stages whose first block provides a layer by its expanded features: strides 8 and 16."""

MOST_BLOCKS = 64
"""A limit of blocks that is more than EfficientNet-Lite4 has."""

EPSILON = 1e-3
"""Epsilon of the batch normalisations, as in TensorFlow, where the network was trained."""

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)


def write_efficientnet_lite(weights: WeightedWriter) -> dict[str, int]:
    """Write the network up to stride 16; return the channels of each layer.

    The network was trained on `(pixel - 127) / 128`. As a backbone it receives images that are
    normalised with ImageNet's mean and deviation, so the stem converts them.
    """
    graph, layers = weights.graph, {}
    x = graph.input("image", np.float32, ("batch", 3, "height", "width"))
    scale, shift = 255 * IMAGENET_DEVIATION / 128, (255 * IMAGENET_MEAN - 127) / 128
    x = graph.add("Mul", x, graph.constant(scale.reshape(1, 3, 1, 1).astype(np.float32)))
    x = graph.add("Add", x, graph.constant(shift.reshape(1, 3, 1, 1).astype(np.float32)))
    x = _conv(weights, x, "_conv_stem", "_bn0", stride=2)
    stage, channels = -1, 0
    for block in range(MOST_BLOCKS):
        name = f"_blocks.{block}"
        if not weights.has(f"{name}._project_conv.weight"):
            break
        width = len(weights.weight(f"{name}._project_conv.weight", ndim=4))
        stage += width != channels
        first, channels = width != channels, width
        inner = x
        if weights.has(f"{name}._expand_conv.weight"):
            inner = _conv(weights, x, f"{name}._expand_conv", f"{name}._bn0")
        if first and stage in LAYER_STAGES:
            layers[LAYER_STAGES[stage]] = len(weights.weight(f"{name}._bn0.weight", ndim=1))
            graph.add("Identity", inner, output=LAYER_STAGES[stage])
            if len(layers) == len(LAYER_STAGES):
                later = (f"_blocks.{number}." for number in range(block, MOST_BLOCKS))
                weights.check_all_used(ignored=(*later, "_conv_head.", "_bn1.", "_fc."))
                return layers
        stride = STRIDES[stage] if first else 1
        inner = _conv(
            weights, inner, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, depthwise=True
        )
        inner = weights.conv(inner, f"{name}._project_conv", f"{name}._bn2", epsilon=EPSILON)
        x = inner if first else graph.add("Add", inner, x)
    raise BackboneError(
        f"The EfficientNet-Lite ends after {stage + 1} stages; {max(LAYER_STAGES) + 1} are needed."
    )


def _conv(
    weights: WeightedWriter,
    x: str,
    name: str,
    norm: str,
    *,
    stride: int = 1,
    depthwise: bool = False,
) -> str:
    """Write a convolution with TensorFlow's padding, batch normalisation and ReLU6."""
    groups = len(weights.weight(f"{name}.weight", ndim=4)) if depthwise else 1
    x = weights.conv(x, name, norm, stride=stride, groups=groups, epsilon=EPSILON, same_upper=True)
    zero, six = weights.graph.scalar(0.0), weights.graph.scalar(6.0)
    return weights.graph.add("Clip", x, zero, six)
