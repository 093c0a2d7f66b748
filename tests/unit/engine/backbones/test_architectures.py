"""The networks beside numpy's own arithmetic, in which nothing is folded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from blemish.engine.backbones.architectures import build_backbone
from blemish.engine.errors import BackboneError
from blemish.engine.graph.sessions import open_session
from tests.state_dicts import (
    Weights,
    dinov2_weights,
    efficientnet_lite_weights,
    mobilenetv4_weights,
    resnet_weights,
)

Array = NDArray[Any]


def run(model: onnx.ModelProto, image: Array) -> tuple[Array, Array]:
    session = open_session(model.SerializeToString(), threads=1)
    layer2, layer3 = session.run(["layer2", "layer3"], {"image": image})
    return layer2, layer3


def image(height: int, width: int) -> Array:
    return np.random.default_rng(4).standard_normal((2, 3, height, width), dtype=np.float32)


class Reference:
    """Layers in double precision."""

    def __init__(self, weights: Weights, *, epsilon: float = 1e-5) -> None:
        self.weights = {name: value.astype(np.float64) for name, value in weights.items()}
        self.epsilon = epsilon

    def conv(self, x: Array, name: str, norm: str, *, stride: int = 1, pad: int = -1) -> Array:
        kernel = self.weights[f"{name}.weight"]
        side = kernel.shape[2]
        around = side // 2 if pad < 0 else pad
        padded = np.pad(x, ((0, 0), (0, 0), (around, around), (around, around)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(2, 3))
        windows = windows[:, :, ::stride, ::stride]
        if kernel.shape[1] == 1 and x.shape[1] > 1:
            out = np.einsum("bchwij,cij->bchw", windows, kernel[:, 0])
        else:
            out = np.einsum("bchwij,ocij->bohw", windows, kernel)
        mean, variance, scale, bias = (
            self.weights[f"{norm}.{part}"][:, np.newaxis, np.newaxis]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        normed: Array = (out - mean) / np.sqrt(variance + self.epsilon) * scale + bias
        return normed

    def conv_same(self, x: Array, name: str, norm: str, *, stride: int) -> Array:
        """Pad as TensorFlow does: as little as the stride needs, the odd row at the end."""
        side = self.weights[f"{name}.weight"].shape[2]
        totals = [max((-(-n // stride) - 1) * stride + side - n, 0) for n in x.shape[2:]]
        pads = [(total // 2, total - total // 2) for total in totals]
        return self.conv(np.pad(x, ((0, 0), (0, 0), *pads)), name, norm, stride=stride, pad=0)

    def linear(self, x: Array, name: str) -> Array:
        product: Array = x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return product

    def norm(self, x: Array, name: str) -> Array:
        centered = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-6)
        scaled: Array = centered / spread * self.weights[f"{name}.weight"]
        return scaled + self.weights[f"{name}.bias"]


def efficientnet_lite(weights: Weights, x: Array) -> tuple[Array, Array]:
    net, maps = Reference(weights, epsilon=1e-3), []
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = 255 * (x * deviation[:, None, None] + mean[:, None, None])
    x = relu6(net.conv_same((pixels - 127) / 128, "_conv_stem", "_bn0", stride=2))
    strides = {1: 2, 3: 2, 5: 2, 7: 1, 8: 2}
    for block in range(9):
        name, entered, stride = f"_blocks.{block}", x, strides.get(block, 1)
        if f"{name}._expand_conv.weight" in weights:
            x = relu6(net.conv(x, f"{name}._expand_conv", f"{name}._bn0"))
        if block in {5, 8}:
            maps.append(x)
        x = relu6(net.conv_same(x, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride))
        x = net.conv(x, f"{name}._project_conv", f"{name}._bn2")
        x = x + entered if x.shape == entered.shape else x
    return maps[0], maps[1]


def relu6(x: Array) -> Array:
    return np.clip(x, 0, 6)


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def resnet(weights: Weights, x: Array, *, bottleneck: bool) -> tuple[Array, Array]:
    net, maps = Reference(weights), {}
    x = relu(net.conv(x, "conv1", "bn1", stride=2))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    x = windows[:, :, ::2, ::2].max(axis=(4, 5))
    for layer in ("layer1", "layer2", "layer3"):
        for block in range(2):
            name, stride = f"{layer}.{block}", 2 if block == 0 and layer != "layer1" else 1
            shortcut = x
            if f"{name}.downsample.0.weight" in weights:
                down = f"{name}.downsample"
                shortcut = net.conv(x, f"{down}.0", f"{down}.1", stride=stride)
            if bottleneck:
                x = relu(net.conv(x, f"{name}.conv1", f"{name}.bn1"))
                x = relu(net.conv(x, f"{name}.conv2", f"{name}.bn2", stride=stride))
                x = net.conv(x, f"{name}.conv3", f"{name}.bn3")
            else:
                x = relu(net.conv(x, f"{name}.conv1", f"{name}.bn1", stride=stride))
                x = net.conv(x, f"{name}.conv2", f"{name}.bn2")
            x = relu(x + shortcut)
        maps[layer] = x
    return maps["layer2"], maps["layer3"]


def mobilenetv4(weights: Weights, x: Array) -> tuple[Array, Array]:
    net = Reference(weights)
    x = relu(net.conv(x, "conv_stem", "bn1", stride=2))
    for name, stride in (("0.0", 2), ("0.1", 1), ("1.0", 2), ("1.1", 1)):
        x = relu(net.conv(x, f"blocks.{name}.conv", f"blocks.{name}.bn1", stride=stride))
    layer2 = x
    for block in range(3):
        name, entered, stride = f"blocks.2.{block}", x, 1 if block else 2
        if f"{name}.dw_start.conv.weight" in weights:
            x = net.conv(x, f"{name}.dw_start.conv", f"{name}.dw_start.bn")
        x = relu(net.conv(x, f"{name}.pw_exp.conv", f"{name}.pw_exp.bn"))
        if f"{name}.dw_mid.conv.weight" in weights:
            x = relu(net.conv(x, f"{name}.dw_mid.conv", f"{name}.dw_mid.bn", stride=stride))
        x = net.conv(x, f"{name}.pw_proj.conv", f"{name}.pw_proj.bn")
        x = x + entered if block else x
    return layer2, x


def dinov2(weights: Weights, x: Array, *, depth: int, width: int) -> tuple[Array, Array]:
    """Run on images of the size that the positions are for."""
    net, heads, maps = Reference(weights), width // 64, []
    batch, side = len(x), x.shape[2] // 14
    patches = x.reshape(batch, 3, side, 14, side, 14)
    kernel = net.weights["patch_embed.proj.weight"]
    tokens = np.einsum("bcyixj,ocij->byxo", patches, kernel).reshape(batch, -1, width)
    tokens = tokens + net.weights["patch_embed.proj.bias"]
    first = np.broadcast_to(net.weights["cls_token"], (batch, 1, width))
    y = np.concatenate([first, tokens], axis=1) + net.weights["pos_embed"]
    for block in range(depth):
        name = f"blocks.{block}"
        joined = net.linear(net.norm(y, f"{name}.norm1"), f"{name}.attn.qkv")
        q, k, v = joined.reshape(batch, -1, 3, heads, 64).transpose(2, 0, 3, 1, 4)
        likeness = np.exp(q @ k.swapaxes(2, 3) / 8)
        mixed = likeness / likeness.sum(axis=-1, keepdims=True) @ v
        rows = mixed.transpose(0, 2, 1, 3).reshape(batch, -1, width)
        y = y + net.linear(rows, f"{name}.attn.proj") * net.weights[f"{name}.ls1.gamma"]
        inner = net.linear(net.norm(y, f"{name}.norm2"), f"{name}.mlp.fc1")
        gelu = inner / 2 * (1 + np.vectorize(math.erf)(inner / 2**0.5))
        y = y + net.linear(gelu, f"{name}.mlp.fc2") * net.weights[f"{name}.ls2.gamma"]
        normed = net.norm(y, "norm")[:, 1:]
        maps.append(normed.reshape(batch, side, side, width).transpose(0, 3, 1, 2))
    return maps[depth // 2 - 1], maps[-1]


def assert_close(found: tuple[Array, Array], expected: tuple[Array, Array]) -> None:
    for each, other in zip(found, expected, strict=True):
        assert each.shape == other.shape
        np.testing.assert_allclose(each, other, rtol=0, atol=2e-5 * np.abs(other).max())


@pytest.mark.parametrize("bottleneck", [False, True])
def test_a_resnet_computes_what_numpy_does(*, bottleneck: bool) -> None:
    weights, given = resnet_weights(bottleneck=bottleneck), image(64, 96)

    architecture, model = build_backbone(weights)

    assert architecture == "resnet"
    assert_close(run(model, given), resnet(weights, given, bottleneck=bottleneck))


def test_mobilenetv4_computes_what_numpy_does() -> None:
    weights, given = mobilenetv4_weights(), image(64, 96)

    architecture, model = build_backbone(weights)

    assert architecture == "mobilenetv4_conv"
    assert_close(run(model, given), mobilenetv4(weights, given))


@pytest.mark.parametrize(("height", "width"), [(64, 96), (32, 160)])
def test_an_efficientnet_lite_computes_what_numpy_does(height: int, width: int) -> None:
    weights, given = efficientnet_lite_weights(), image(height, width)

    architecture, model = build_backbone(weights)

    assert architecture == "efficientnet_lite"
    assert_close(run(model, given), efficientnet_lite(weights, given))


def test_an_efficientnet_that_ends_early_or_has_more_is_refused() -> None:
    weights = efficientnet_lite_weights()
    short = {name: value for name, value in weights.items() if "_blocks.8" not in name}

    with pytest.raises(BackboneError, match="ends after 5 stages; 6 are needed"):
        build_backbone(short)
    with pytest.raises(BackboneError, match=r"efficientnet_lite does not have .*\._se_reduce"):
        build_backbone(weights | {"_blocks.1._se_reduce.weight": np.zeros((1, 1), np.float32)})


def test_dinov2_computes_what_numpy_does() -> None:
    weights, given = dinov2_weights(depth=4, side=3), image(42, 42)

    architecture, model = build_backbone(weights)

    assert architecture == "dinov2"
    assert_close(run(model, given), dinov2(weights, given, depth=4, width=128))
    assert {each.key: each.value for each in model.metadata_props} == {"blemish.step": "14"}


def test_dinov2s_positions_are_laid_over_any_grid() -> None:
    flat = dinov2_weights(side=4)
    flat["pos_embed"][:, 1:] = np.float32(0.25)  # the same everywhere, on whatever grid
    _, model = build_backbone(flat)
    _, tall = build_backbone(flat | {"pos_embed": flat["pos_embed"][:, :10]})

    of_four, of_three = run(model, image(84, 56)), run(tall, image(84, 56))

    assert of_four[0].shape == (2, 128, 6, 4)
    assert_close(of_four, of_three)


def test_weights_of_an_unknown_network_are_refused() -> None:
    with pytest.raises(BackboneError, match="none of the known networks: resnet, mobilenetv4_conv"):
        build_backbone({"features.0.weight": np.zeros((1, 1), np.float32)})


def test_a_network_that_only_looks_alike_is_refused() -> None:
    weights = resnet_weights(bottleneck=True)
    weights["layer1.0.se.fc1.weight"] = np.zeros((4, 4), np.float32)

    with pytest.raises(
        BackboneError, match=r"architecture resnet does not have .* layer1\.0\.se\.fc1"
    ):
        build_backbone(weights)


def test_a_weight_that_is_missing_is_named() -> None:
    weights = resnet_weights(bottleneck=False)
    del weights["layer2.1.bn2.running_var"]

    with pytest.raises(BackboneError, match=r"The resnet lacks .* layer2\.1\.bn2\.running_var"):
        build_backbone(weights)


def test_a_weight_of_another_shape_is_named() -> None:
    weights = resnet_weights(bottleneck=False)
    weights["layer1.0.conv1.weight"] = np.zeros((4, 4), np.float32)

    with pytest.raises(
        BackboneError, match=r"layer1\.0\.conv1\.weight of the resnet has the shape \(4, 4\)"
    ):
        build_backbone(weights)


@pytest.mark.parametrize("name", ["pos_embed", "patch_embed.proj.weight"])
def test_a_transformer_of_other_patches_or_positions_is_refused(name: str) -> None:
    weights = dinov2_weights()
    weights[name] = weights[name][:, :-1]

    with pytest.raises(BackboneError, match=r"The (positions|patch weights) have"):
        build_backbone(weights)
