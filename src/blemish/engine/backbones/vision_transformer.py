"""DINOv2's vision transformers as backbones: the tokens of patches, laid out as a map.

Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, section 3.1; Oquab et al.,
"DINOv2: Learning Robust Visual Features without Supervision", 2023; names of the weights as in timm
and in the original.
"""

from __future__ import annotations

import numpy as np

from blemish.engine.backbones.layers import LAYERS
from blemish.engine.backbones.weights import WeightedWriter
from blemish.engine.errors import BackboneError

PATCH = 14
"""Side of a patch in pixels."""

_HEAD_WIDTH = 64  # in every published size
_EPSILON = 1e-6
_CUBIC = -0.5  # as torch resizes with an antialiasing filter


def write_dinov2(weights: WeightedWriter) -> None:
    """Write a transformer: its middle block outputs `layer2`, its last block `layer3`.

    Both have one grid, and are normalised like the output of the network.

    Raises:
        BackboneError: weights are missing, or the patches have another size.
    """
    graph = weights.graph
    image = graph.input("image", np.float32, ("batch", 3, "height", "width"))
    kernel = weights.weight("patch_embed.proj.weight", ndim=4)
    width = len(kernel)
    if kernel.shape[1:] != (3, PATCH, PATCH) or width % _HEAD_WIDTH:
        raise BackboneError(
            f"The patch weights have the shape {kernel.shape}; it must be (n x 64, 3, 14, 14)."
        )
    bias = graph.constant(weights.weight("patch_embed.proj.bias", ndim=1))
    patches = graph.add("Conv", image, graph.constant(kernel), bias, strides=[PATCH] * 2)
    grid = graph.add("Shape", patches, start=2)
    x = _with_positions(weights, patches, grid, width)
    depth = 0
    while weights.has(f"blocks.{depth}.ls1.gamma"):
        depth += 1
    outputs = {depth // 2 - 1: LAYERS[0], depth - 1: LAYERS[1]}
    for block in range(depth):
        x = _block(weights, x, f"blocks.{block}", width)
        if block in outputs:
            _as_map(weights, x, outputs[block], grid, width)
    weights.check_all_used(ignored=("mask_token", "head."))


def _with_positions(weights: WeightedWriter, patches: str, grid: str, width: int) -> str:
    """Put the class token before the patches, and add the position embeddings."""
    graph = weights.graph
    positions = weights.weight("pos_embed", ndim=3)
    side = round((positions.shape[1] - 1) ** 0.5)
    if positions.shape != (1, side**2 + 1, width):
        raise BackboneError(f"The positions have the shape {positions.shape}, which is not square.")
    square = positions[:, 1:].reshape(1, side, side, width).transpose(0, 3, 1, 2)
    size = graph.add("Concat", weights.ints(1, width), grid, axis=0)
    resized = graph.add(
        "Resize",
        graph.constant(square),
        "",
        "",
        size,
        mode="cubic",
        antialias=1,
        cubic_coeff_a=_CUBIC,
        exclude_outside=1,
    )
    tokens = _tokens(weights, graph.add("Add", patches, resized), width)
    first = weights.weight("cls_token", ndim=3) + positions[:, :1]
    batch = graph.add("Shape", patches, end=1)
    shape = graph.add("Concat", batch, weights.ints(1, width), axis=0)
    return graph.add("Concat", graph.add("Expand", graph.constant(first), shape), tokens, axis=1)


def _tokens(weights: WeightedWriter, feature_map: str, width: int) -> str:
    """Reshape a map (B, d, h, w) to tokens (B, h w, d)."""
    flat = weights.graph.add("Reshape", feature_map, weights.ints(0, width, -1))
    return weights.graph.add("Transpose", flat, perm=[0, 2, 1])


def _as_map(weights: WeightedWriter, x: str, layer: str, grid: str, width: int) -> None:
    graph = weights.graph
    normed = _norm(weights, x, "norm")
    patches = graph.add(
        "Slice", normed, weights.ints(1), weights.ints(np.iinfo(np.int64).max), weights.ints(1)
    )
    planes = graph.add("Transpose", patches, perm=[0, 2, 1])
    shape = graph.add("Concat", weights.ints(0, width), grid, axis=0)
    graph.add("Reshape", planes, shape, output=layer)
    graph.output(layer, np.float32, ("batch", width, f"h_{layer}", f"w_{layer}"))


def _block(weights: WeightedWriter, x: str, name: str, width: int) -> str:
    """Write attention and a perceptron, each added to its input by a scale for every channel."""
    graph = weights.graph
    attended = _attention(weights, _norm(weights, x, f"{name}.norm1"), name, width)
    x = graph.add("Add", x, attended)
    inner = weights.linear(_norm(weights, x, f"{name}.norm2"), f"{name}.mlp.fc1")
    gamma = weights.weight(f"{name}.ls2.gamma", ndim=1)
    return graph.add(
        "Add", x, weights.linear(_gelu(weights, inner), f"{name}.mlp.fc2", scale=gamma)
    )


def _attention(weights: WeightedWriter, x: str, name: str, width: int) -> str:
    graph, heads = weights.graph, width // _HEAD_WIDTH
    joined = weights.linear(x, f"{name}.attn.qkv")
    split = graph.add("Reshape", joined, weights.ints(0, 0, 3, heads, _HEAD_WIDTH))

    def part(index: int, perm: list[int]) -> str:
        part = graph.add("Gather", split, graph.constant(np.array(index, np.int64)), axis=2)
        return graph.add("Transpose", part, perm=perm)

    scale = graph.constant(np.array(_HEAD_WIDTH**-0.5, dtype=np.float32))
    queries = graph.add("Mul", part(0, [0, 2, 1, 3]), scale)
    likeness = graph.add("MatMul", queries, part(1, [0, 2, 3, 1]))
    shares = graph.add("Softmax", likeness, axis=-1)
    mixed = graph.add("MatMul", shares, part(2, [0, 2, 1, 3]))
    rows = graph.add("Transpose", mixed, perm=[0, 2, 1, 3])
    gamma = weights.weight(f"{name}.ls1.gamma", ndim=1)
    flat = graph.add("Reshape", rows, weights.ints(0, 0, width))
    return weights.linear(flat, f"{name}.attn.proj", scale=gamma)


def _norm(weights: WeightedWriter, x: str, name: str) -> str:
    graph = weights.graph
    scale = graph.constant(weights.weight(f"{name}.weight", ndim=1))
    bias = graph.constant(weights.weight(f"{name}.bias", ndim=1))
    return graph.add("LayerNormalization", x, scale, bias, epsilon=_EPSILON)


def _gelu(weights: WeightedWriter, x: str) -> str:
    """Write the exact GELU. Source: Hendrycks and Gimpel, 2016, section 2."""
    graph = weights.graph

    def scalar(value: float) -> str:
        return graph.constant(np.array(value, dtype=np.float32))

    error = graph.add("Erf", graph.add("Div", x, scalar(2**0.5)))
    return graph.add("Mul", graph.add("Mul", x, graph.add("Add", error, scalar(1))), scalar(0.5))
