"""Architectures of pretrained networks that can become backbones.

The weights decide which architecture a state dict has. A network is written as ONNX from its state
dict alone, in evaluation mode. Batch normalisation is folded into the convolutions before it.
Layers after the last needed one are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import onnx
from onnx import helper

from blemish.engine.backbones.efficientnet_lite import write_efficientnet_lite
from blemish.engine.backbones.layers import BANK_ALONE_KEY, LAYERS, STEP_KEY
from blemish.engine.backbones.state_dicts import StateDict
from blemish.engine.backbones.vision_transformer import PATCH, write_dinov2
from blemish.engine.backbones.weights import WeightedWriter
from blemish.engine.errors import BackboneError
from blemish.engine.images.resize import GRAPH_STEP

RESNET, MOBILENETV4, DINOV2 = "resnet", "mobilenetv4_conv", "dinov2"
EFFICIENTNET_LITE = "efficientnet_lite"


def build_backbone(state: StateDict) -> tuple[str, onnx.ModelProto]:
    """Write the network that these weights belong to; return its architecture and the network.

    Raises:
        BackboneError: no known network has these weights, or they do not fit together.
    """
    for architecture, sign in _SIGNS.items():
        if sign in state:
            weights = WeightedWriter(state, architecture=architecture)
            _WRITERS[architecture](weights)
            model = weights.graph.model()
            step = PATCH if architecture == DINOV2 else GRAPH_STEP
            properties = {STEP_KEY: str(step)}
            if architecture == EFFICIENTNET_LITE:  # docs/notes/joined-backbone.md
                properties[BANK_ALONE_KEY] = "1"
            helper.set_model_props(model, properties)
            return architecture, model
    raise BackboneError(
        f"The weights belong to none of the known networks: {', '.join(_SIGNS)}. They begin with "
        f"{', '.join(list(state)[:3])}."
    )


def _write_resnet(weights: WeightedWriter) -> None:
    """Write layers 1 to 3 of a ResNet: basic or bottleneck blocks, of any depth and width.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, table 1; the
    stride in the 3 x 3 convolution, as in torchvision; Zagoruyko and Komodakis, "Wide Residual
    Networks", BMVC 2016.
    """
    graph = weights.graph
    x = graph.input("image", np.float32, ("batch", 3, "height", "width"))
    x = weights.conv(x, "conv1", "bn1", stride=2, relu=True)
    x = graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for layer in ("layer1", "layer2", "layer3"):
        block = 0
        while block == 0 or weights.has(f"{layer}.{block}.conv1.weight"):
            stride = 2 if block == 0 and layer != "layer1" else 1
            x = _resnet_block(weights, x, f"{layer}.{block}", stride=stride)
            block += 1
        if layer in LAYERS:
            channels = len(weights.weight(f"{layer}.0.bn2.weight", ndim=1))
            if weights.has(f"{layer}.0.bn3.weight"):
                channels = len(weights.weight(f"{layer}.0.bn3.weight", ndim=1))
            _output(weights, x, layer, channels)
    weights.check_all_used(ignored=("layer4.", "fc."))


def _resnet_block(weights: WeightedWriter, x: str, name: str, *, stride: int) -> str:
    shortcut = x
    if weights.has(f"{name}.downsample.0.weight"):
        shortcut = weights.conv(x, f"{name}.downsample.0", f"{name}.downsample.1", stride=stride)
    if weights.has(f"{name}.conv3.weight"):
        x = weights.conv(x, f"{name}.conv1", f"{name}.bn1", relu=True)
        x = weights.conv(x, f"{name}.conv2", f"{name}.bn2", stride=stride, relu=True)
        x = weights.conv(x, f"{name}.conv3", f"{name}.bn3")
    else:
        x = weights.conv(x, f"{name}.conv1", f"{name}.bn1", stride=stride, relu=True)
        x = weights.conv(x, f"{name}.conv2", f"{name}.bn2")
    return weights.graph.add("Relu", weights.graph.add("Add", x, shortcut))


def _write_mobilenetv4(weights: WeightedWriter) -> None:
    """Write the stages of MobileNetV4's small convolutional network up to stride 16.

    Source: Qin et al., "MobileNetV4: Universal Models for the Mobile Ecosystem", ECCV 2024,
    section 3 and table 11; names of the weights as in timm.
    """
    x = weights.graph.input("image", np.float32, ("batch", 3, "height", "width"))
    x = weights.conv(x, "conv_stem", "bn1", stride=2, relu=True)
    for stage in ("blocks.0", "blocks.1"):
        for block, stride in ((0, 2), (1, 1)):
            name = f"{stage}.{block}"
            x = weights.conv(x, f"{name}.conv", f"{name}.bn1", stride=stride, relu=True)
    channels = len(weights.weight("blocks.1.1.bn1.weight", ndim=1))
    _output(weights, x, LAYERS[0], channels)
    block = 0
    while block == 0 or weights.has(f"blocks.2.{block}.pw_exp.conv.weight"):
        inner = _inverted_bottleneck(weights, x, f"blocks.2.{block}", stride=1 if block else 2)
        x = weights.graph.add("Add", x, inner) if block else inner
        block += 1
    _output(weights, x, LAYERS[1], len(weights.weight("blocks.2.0.pw_proj.bn.weight", ndim=1)))
    ignored = ("blocks.3.", "blocks.4.", "conv_head.", "norm_head.", "classifier.")
    weights.check_all_used(ignored=ignored)


def _inverted_bottleneck(weights: WeightedWriter, x: str, name: str, *, stride: int) -> str:
    """Write a universal inverted bottleneck, whose depthwise convolutions may both be missing."""

    def depthwise(x: str, part: str, *, stride: int, relu: bool) -> str:
        if not weights.has(f"{name}.{part}.conv.weight"):
            return x
        groups = len(weights.weight(f"{name}.{part}.conv.weight", ndim=4))
        conv, norm = f"{name}.{part}.conv", f"{name}.{part}.bn"
        return weights.conv(x, conv, norm, stride=stride, groups=groups, relu=relu)

    at_middle = weights.has(f"{name}.dw_mid.conv.weight")
    x = depthwise(x, "dw_start", stride=1 if at_middle else stride, relu=False)
    x = weights.conv(x, f"{name}.pw_exp.conv", f"{name}.pw_exp.bn", relu=True)
    x = depthwise(x, "dw_mid", stride=stride, relu=True)
    return weights.conv(x, f"{name}.pw_proj.conv", f"{name}.pw_proj.bn")


def _write_efficientnet_lite(weights: WeightedWriter) -> None:
    for layer, channels in write_efficientnet_lite(weights).items():
        weights.graph.output(layer, np.float32, ("batch", channels, f"h_{layer}", f"w_{layer}"))


def _output(weights: WeightedWriter, x: str, layer: str, channels: int) -> None:
    weights.graph.add("Identity", x, output=layer)
    weights.graph.output(layer, np.float32, ("batch", channels, f"h_{layer}", f"w_{layer}"))


_SIGNS: Mapping[str, str] = MappingProxyType(
    {
        RESNET: "layer1.0.conv1.weight",
        MOBILENETV4: "blocks.2.0.pw_exp.conv.weight",
        DINOV2: "blocks.0.ls1.gamma",
        EFFICIENTNET_LITE: "_blocks.0._depthwise_conv.weight",
    }
)
"""Architecture -> a weight that no other architecture has."""

_WRITERS: Mapping[str, Callable[[WeightedWriter], None]] = MappingProxyType(
    {
        RESNET: _write_resnet,
        MOBILENETV4: _write_mobilenetv4,
        DINOV2: write_dinov2,
        EFFICIENTNET_LITE: _write_efficientnet_lite,
    }
)
