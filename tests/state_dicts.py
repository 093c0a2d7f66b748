"""Files of weights, as other libraries write them, and the weights of small networks."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Named:
    """A name that a pickle is to ask for, whether there is such a thing or not."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    """A call that a pickle is to make."""

    function: Named
    arguments: tuple[object, ...]


@dataclass(frozen=True)
class Storage:
    """Values that lie in a file of their own."""

    key: str
    size: int
    #: what a checkpoint from before PyTorch 1.6 says of it as well: nothing
    view: tuple[object, ...] = ()


class Pickler(pickle._Pickler):
    """Writes calls of what need not be installed."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)
    write: Any
    save: Any

    def persistent_id(self, obj: object) -> object:
        if isinstance(obj, Storage):
            return ("storage", Named("torch", "FloatStorage"), obj.key, "cpu", obj.size, *obj.view)
        return None

    def save_named(self, obj: Named) -> None:
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())

    def save_call(self, obj: Call) -> None:
        self.save(obj.function)
        self.save(obj.arguments)
        self.write(pickle.REDUCE)

    dispatch[Named] = save_named
    dispatch[Call] = save_call


def write_pickle(path: Path, content: object, storages: Mapping[str, bytes]) -> Path:
    """Write a zip archive as `torch.save` does."""
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", buffer.getvalue())
        for key, data in storages.items():
            archive.writestr(f"net/data/{key}", data)
    return path


def write_checkpoint(path: Path, weights: Weights, *, wrapper: str | None = None) -> Path:
    """Write weights as `torch.save(model.state_dict())` does."""
    tensors, storages = _pickled(weights, view=())
    return write_pickle(path, {wrapper: tensors, "epoch": 3} if wrapper else tensors, storages)


def write_legacy_checkpoint(path: Path, weights: Weights, *, wrapper: str | None = None) -> Path:
    """Write weights as `torch.save(model.state_dict())` did before PyTorch 1.6."""
    tensors, storages = _pickled(weights, view=(None,))
    content = {wrapper: tensors, "epoch": 3} if wrapper else tensors
    return write_legacy_pickle(path, content, storages)


def write_legacy_pickle(path: Path, content: object, storages: Mapping[str, bytes]) -> Path:
    """Write pickles and values one after the other, as PyTorch did before 1.6."""
    sizes = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    buffer = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, sizes, content, sorted(storages)):
        Pickler(buffer, 2).dump(part)
    for _, data in sorted(storages.items()):
        buffer.write((len(data) // 4).to_bytes(8, "little") + data)
    path.write_bytes(buffer.getvalue())
    return path


def _pickled(weights: Weights, *, view: tuple[object, ...]) -> tuple[Any, dict[str, bytes]]:
    tensors: Any = OrderedDict()
    storages = {}
    for number, (name, value) in enumerate(weights.items()):
        key = str(number)
        storages[key] = value.tobytes()
        strides = tuple(step // 4 for step in np.ascontiguousarray(value).strides)
        arguments: tuple[object, ...] = (
            Storage(key, value.size, view),
            0,
            value.shape,
            strides[: value.ndim],
            False,
            {},
        )
        tensors[name] = Call(Named("torch._utils", "_rebuild_tensor_v2"), arguments)
    return tensors, storages


def write_safetensors(path: Path, weights: Weights) -> Path:
    """Write weights as the safetensors library does."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    body = b""
    for name, value in weights.items():
        end = len(body) + value.nbytes
        header[name] = {
            "dtype": "F32",
            "shape": list(value.shape),
            "data_offsets": [len(body), end],
        }
        body += value.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


class Drawing:
    """Draws the weights of layers, none of them trivial."""

    def __init__(self, seed: int) -> None:
        self.weights: Weights = {}
        self._generator = np.random.default_rng(seed)

    def conv(self, name: str, norm: str, shape: tuple[int, ...]) -> None:
        """Draw a convolution (out, in, k, k) and its batch normalisation."""
        spread = float(np.prod(shape[1:])) ** -0.5
        self.normal(f"{name}.weight", shape, spread=spread)
        out = shape[:1]
        self.weights[f"{norm}.weight"] = self._generator.uniform(0.5, 1.5, out).astype(np.float32)
        self.normal(f"{norm}.bias", out, spread=0.3)
        self.normal(f"{norm}.running_mean", out, spread=0.3)
        variance = self._generator.uniform(0.5, 2, out)
        self.weights[f"{norm}.running_var"] = variance.astype(np.float32)
        self.weights[f"{norm}.num_batches_tracked"] = np.array(7, dtype=np.float32)

    def linear(self, name: str, out: int, width: int) -> None:
        """Draw a linear layer."""
        self.normal(f"{name}.weight", (out, width), spread=width**-0.5)
        self.normal(f"{name}.bias", (out,), spread=0.3)

    def normal(self, name: str, shape: tuple[int, ...], *, spread: float) -> None:
        """Draw a tensor around zero."""
        drawn = self._generator.standard_normal(shape) * spread
        self.weights[name] = drawn.astype(np.float32)


def resnet_weights(*, bottleneck: bool, blocks: int = 2) -> Weights:
    """Draw a ResNet of few channels, with its end, which a backbone does without."""
    drawing = Drawing(1)
    drawing.conv("conv1", "bn1", (4, 3, 7, 7))
    before = 4
    for layer, width in (("layer1", 4), ("layer2", 6), ("layer3", 8)):
        after = width * 2 if bottleneck else width
        for block in range(blocks):
            name = f"{layer}.{block}"
            if bottleneck:
                drawing.conv(f"{name}.conv1", f"{name}.bn1", (width, before, 1, 1))
                drawing.conv(f"{name}.conv2", f"{name}.bn2", (width, width, 3, 3))
                drawing.conv(f"{name}.conv3", f"{name}.bn3", (after, width, 1, 1))
            else:
                drawing.conv(f"{name}.conv1", f"{name}.bn1", (width, before, 3, 3))
                drawing.conv(f"{name}.conv2", f"{name}.bn2", (width, width, 3, 3))
            if before != after:
                shape = (after, before, 1, 1)
                drawing.conv(f"{name}.downsample.0", f"{name}.downsample.1", shape)
            before = after
    drawing.conv("layer4.0.conv1", "layer4.0.bn1", (3, before, 1, 1))
    drawing.linear("fc", 5, 3)
    return drawing.weights


def mobilenetv4_weights() -> Weights:
    """Draw MobileNetV4's first stages with few channels."""
    drawing = Drawing(2)
    drawing.conv("conv_stem", "bn1", (4, 3, 3, 3))
    for name, shape in (
        ("blocks.0.0", (4, 4, 3, 3)),
        ("blocks.0.1", (4, 4, 1, 1)),
        ("blocks.1.0", (8, 4, 3, 3)),
        ("blocks.1.1", (6, 8, 1, 1)),
    ):
        drawing.conv(f"{name}.conv", f"{name}.bn1", shape)
    for name, before, parts in (
        ("blocks.2.0", 6, {"dw_start": 5, "dw_mid": 5}),
        ("blocks.2.1", 8, {"dw_mid": 3}),
        ("blocks.2.2", 8, {"dw_start": 3}),
    ):
        inner = before * 2
        for part, side in parts.items():
            width = before if part == "dw_start" else inner
            drawing.conv(f"{name}.{part}.conv", f"{name}.{part}.bn", (width, 1, side, side))
        drawing.conv(f"{name}.pw_exp.conv", f"{name}.pw_exp.bn", (inner, before, 1, 1))
        drawing.conv(f"{name}.pw_proj.conv", f"{name}.pw_proj.bn", (8, inner, 1, 1))
    drawing.conv("blocks.3.0.pw_exp.conv", "blocks.3.0.pw_exp.bn", (8, 8, 1, 1))
    drawing.linear("classifier", 5, 8)
    return drawing.weights


def efficientnet_lite_weights() -> Weights:
    """Draw an EfficientNet-Lite of few channels, with its end, which a backbone does without."""
    drawing = Drawing(4)
    drawing.conv("_conv_stem", "_bn0", (4, 3, 3, 3))
    before, number = 4, 0
    for width, side, blocks in ((3, 3, 1), (5, 3, 2), (6, 5, 2), (7, 3, 2), (8, 5, 1), (9, 5, 1)):
        for _ in range(blocks):
            name, inner = f"_blocks.{number}", before * (6 if number else 1)
            if number:
                drawing.conv(f"{name}._expand_conv", f"{name}._bn0", (inner, before, 1, 1))
            drawing.conv(f"{name}._depthwise_conv", f"{name}._bn1", (inner, 1, side, side))
            drawing.conv(f"{name}._project_conv", f"{name}._bn2", (width, inner, 1, 1))
            before, number = width, number + 1
    drawing.conv("_conv_head", "_bn1", (11, before, 1, 1))
    drawing.linear("_fc", 5, 11)
    return drawing.weights


def dinov2_weights(*, depth: int = 2, width: int = 128, side: int = 3) -> Weights:
    """Draw a vision transformer of few blocks, for images of `side` x `side` patches."""
    drawing = Drawing(3)
    drawing.normal("cls_token", (1, 1, width), spread=0.5)
    drawing.normal("pos_embed", (1, side**2 + 1, width), spread=0.5)
    drawing.normal("mask_token", (1, width), spread=0.5)
    drawing.normal("patch_embed.proj.weight", (width, 3, 14, 14), spread=0.04)
    drawing.normal("patch_embed.proj.bias", (width,), spread=0.3)
    for block in range(depth):
        name = f"blocks.{block}"
        drawing.linear(f"{name}.attn.qkv", 3 * width, width)
        drawing.linear(f"{name}.attn.proj", width, width)
        drawing.linear(f"{name}.mlp.fc1", 2 * width, width)
        drawing.linear(f"{name}.mlp.fc2", width, 2 * width)
        for part in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"):
            drawing.normal(f"{name}.{part}", (width,), spread=1)
        drawing.normal(f"{name}.ls1.gamma", (width,), spread=1)
        drawing.normal(f"{name}.ls2.gamma", (width,), spread=1)
    drawing.normal("norm.weight", (width,), spread=1)
    drawing.normal("norm.bias", (width,), spread=1)
    return drawing.weights
