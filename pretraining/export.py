"""Export: the weights written as one ONNX graph, the same bytes for the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from pretraining.network import Block, Layer, Network
from pretraining.train import INPUT_SCALE

_OPSET = 17
_SHARES = (1.0, 0.25)
"""Of the maps in the detector's distance: the coarser one finds less."""


class _Writer:
    """Nodes and constants in the order in which they are asked for."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, output: str | None = None, **traits: Any) -> str:
        """Write a node; return its output's name."""
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **traits))
        return name

    def constant(self, values: torch.Tensor) -> str:
        """Write a float32 constant; return its name."""
        name = f"weights_{len(self.constants)}"
        array = values.detach().to(torch.float32).numpy()
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def layer(
        self, x: str, layer: Layer, *, scale: float = 1, share: float = 1, output: str | None = None
    ) -> str:
        """Write a share of what a layer makes of its input times a scale, as one convolution."""
        weights, bias = layer.folded()
        inputs = (x, self.constant(weights * scale * share), self.constant(bias * share))
        pads, strides = [int(layer.conv.padding[0])] * 4, list(layer.conv.stride)
        return self.add("Conv", *inputs, output=output, strides=strides, pads=pads)

    def block(self, x: str, block: Block) -> str:
        """Write a residual block."""
        inner = self.add("Relu", self.layer(x, block.first))
        shortcut = x if block.shortcut is None else self.layer(x, block.shortcut)
        return self.add("Relu", self.add("Add", self.layer(inner, block.second), shortcut))


def export(network: Network) -> bytes:
    """Return a trained network as a serialised ONNX model with outputs `layer2` and `layer3`."""
    writer = _Writer()
    x = writer.add("Relu", writer.layer("image", network.stem, scale=INPUT_SCALE))
    x = writer.add("Relu", writer.layer(x, network.second))
    for block in network.stage1:
        x = writer.block(x, block)
    outputs = []
    for name, stage, head, stride, share in (
        ("layer2", network.stage2, network.heads[0], 8, _SHARES[0]),
        ("layer3", network.stage3, network.heads[1], 16, _SHARES[1]),
    ):
        for block in stage:
            x = writer.block(x, block)
        writer.layer(x, head, share=share, output=name)
        shape = ("batch", head.conv.out_channels, f"height/{stride}", f"width/{stride}")
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    picture = ("batch", 3, "height", "width")
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, picture)
    graph = helper.make_graph(writer.nodes, "backbone", [image], outputs, writer.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))
