"""Export: the weights written as one ONNX graph, the same bytes for the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from pretraining.network import Block, Network, ScaledConv
from pretraining.whitening import Head

_OPSET = 17


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

    def conv(self, x: str, layer: ScaledConv) -> str:
        """Write a convolution with its kernels as they are convolved with."""
        assert layer.bias is not None
        pads = [int(layer.padding[0])] * 4
        weights, bias = self.constant(layer.kernel()), self.constant(layer.bias)
        strides = list(layer.stride)
        return self.add("Conv", x, weights, bias, strides=strides, pads=pads)

    def block(self, x: str, block: Block) -> str:
        """Write a residual block."""
        x = self.add("Relu", x)
        inner = self.add("Relu", self.conv(x, block.first))
        shortcut = x if block.shortcut is None else self.conv(x, block.shortcut)
        return self.add("Add", self.conv(inner, block.second), shortcut)


def export(network: Network, heads: Sequence[Head]) -> bytes:
    """Return a network as a serialised ONNX model with outputs `layer2` and `layer3`.

    Args:
        network: what comes before the heads.
        heads: the last 1 x 1 convolution of each output.
    """
    writer = _Writer()
    x = writer.add("Relu", writer.conv("image", network.stem))
    x = writer.block(writer.conv(x, network.second), network.stage1)
    outputs = []
    for name, stage, head, stride in (
        ("layer2", network.stage2, heads[0], 8),
        ("layer3", network.stage3, heads[1], 16),
    ):
        for block in stage:
            x = writer.block(x, block)
        weights, bias = (writer.constant(values) for values in head)
        writer.add("Conv", writer.add("Relu", x), weights, bias, output=name)
        shape = ("batch", len(head[1]), f"height/{stride}", f"width/{stride}")
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    picture = ("batch", 3, "height", "width")
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, picture)
    graph = helper.make_graph(writer.nodes, "backbone", [image], outputs, writer.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))
