"""Backbones: the frozen networks that turn an image into feature maps.

Any ONNX file is a backbone whose first input is (B, 3, H, W) float32, RGB with ImageNet's mean and
deviation removed, and whose outputs hold the feature maps of `LAYERS` by name. H and W are
multiples of 32, or of the number `blemish.step` in its metadata. A packaged backbone may join
several networks, each with layers of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import inliner, utils, version_converter

from blemish.engine.backbones.installed_weights import default_backbone
from blemish.engine.backbones.layers import BANK_ALONE_KEY, LAYERS, STEP_KEY
from blemish.engine.backbones.packaged import packaged_network
from blemish.engine.errors import BackboneError
from blemish.engine.graph.sessions import SESSION_ERRORS, open_session
from blemish.engine.graph.writer import MIN_OPSET
from blemish.engine.images.resize import GRAPH_STEP

_PROBE_STEPS = 2
_MAX_STEP = 128


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A network whose outputs are the layers of `networks`, and nothing else."""

    name: str
    #: of the serialised network, hexadecimal
    sha256: str
    model: onnx.ModelProto
    #: the sides of images must be multiples of this, in pixels
    step: int = GRAPH_STEP
    #: name of a network in the model -> its layers; the grid of the first layer is the patches'
    networks: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: MappingProxyType({"": LAYERS})
    )
    #: whether subspace and image Gaussian take no part; docs/notes/joined-backbone.md
    bank_alone: bool = False

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers of all networks."""
        return tuple(layer for layers in self.networks.values() for layer in layers)

    @property
    def input_name(self) -> str:
        """Name of the input for images."""
        return str(self.model.graph.input[0].name)


def load_backbone(source: Path | str | None) -> Backbone:
    """Read a backbone from an ONNX file, or write a packaged one.

    Args:
        source: a file, the name of a packaged backbone, or None for the default one.

    Raises:
        BackboneError: the file is missing, is not an ONNX model, lacks outputs of `LAYERS`, or
            does not run on an image; or the weights of the packaged backbone are not installed.
    """
    if not isinstance(source, Path):
        return _packaged(source or default_backbone())
    path = source
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BackboneError(f"The backbone {path} cannot be read: {error.strerror}.") from error
    model = _parse(data, path)
    backbone = Backbone(
        name=path.stem,
        sha256=hashlib.sha256(data).hexdigest(),
        model=_with_layers_only(model, path),
        step=_step(model, path),
        bank_alone=_bank_alone(model),
    )
    side = _PROBE_STEPS * backbone.step
    feature_shapes(backbone, width=side, height=side)
    return backbone


def feature_shapes(backbone: Backbone, *, width: int, height: int) -> dict[str, tuple[int, ...]]:
    """Return the shape (C, h, w) of each layer for images of one size, by running once.

    Raises:
        BackboneError: the network does not run on such an image, or gives no feature maps.
    """
    image = np.zeros((1, 3, height, width), dtype=np.float32)
    try:
        session = open_session(backbone.model.SerializeToString(), threads=1)
        maps = session.run(list(backbone.layers), {backbone.input_name: image})
    except SESSION_ERRORS as error:
        raise BackboneError(
            f"The backbone {backbone.name} does not run on an image of {width} x {height} pixels, "
            f"given as (1, 3, {height}, {width}) float32: {error}"
        ) from error
    for layer, feature_map in zip(backbone.layers, maps, strict=True):
        if feature_map.ndim != 4 or feature_map.dtype != np.float32:
            raise BackboneError(
                f"The output {layer} of the backbone {backbone.name} is {feature_map.dtype} of "
                f"shape {feature_map.shape}; it must be float32 of shape (B, C, H, W)."
            )
    return {layer: tuple(maps[i].shape[1:]) for i, layer in enumerate(backbone.layers)}


def _packaged(name: str) -> Backbone:
    network = packaged_network(name)
    serialised = network.model.SerializeToString(deterministic=True)
    return Backbone(
        name=network.name,
        sha256=hashlib.sha256(serialised).hexdigest(),
        model=network.model,
        networks=network.networks,
        bank_alone=_bank_alone(network.model),
    )


def _parse(data: bytes, path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(data)
        onnx.checker.check_model(model)
    except (DecodeError, UnicodeDecodeError, onnx.checker.ValidationError) as error:
        raise BackboneError(f"The backbone {path} is not a valid ONNX model: {error}") from error
    graph = model.graph
    named = (graph, *graph.input, *graph.output, *graph.initializer, *graph.value_info, *graph.node)
    names = [part.name for part in named]
    names += [name for node in graph.node for name in (*node.input, *node.output)]
    if broken := [name for name in names if not isinstance(name, str)]:  # protobuf lets them pass
        raise BackboneError(
            f"The backbone {path} is not a valid ONNX model: the name {broken[0]!r} is not UTF-8."
        )
    return model


def _bank_alone(model: onnx.ModelProto) -> bool:
    return _metadata(model).get(BANK_ALONE_KEY) == "1"


def _metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def _step(model: onnx.ModelProto, path: Path) -> int:
    metadata = _metadata(model)
    step = str(metadata.get(STEP_KEY, GRAPH_STEP))  # protobuf returns invalid UTF-8 as bytes
    if not (step.isdecimal() and 0 < int(step) <= _MAX_STEP):
        raise BackboneError(
            f"The backbone {path} has {STEP_KEY} {step!r}; it must be 1 to {_MAX_STEP} pixels."
        )
    return int(step)


def _with_layers_only(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Cut a network off after `LAYERS`, in an operator set that this code writes too."""
    outputs = {output.name for output in model.graph.output}
    if missing := [layer for layer in LAYERS if layer not in outputs]:
        raise BackboneError(
            f"The backbone {path} has no output {' and no output '.join(missing)}; its outputs "
            f"are {', '.join(sorted(outputs))}."
        )
    constants = {constant.name for constant in model.graph.initializer}
    inputs = [entry.name for entry in model.graph.input if entry.name not in constants]
    if not inputs:
        raise BackboneError(f"The backbone {path} has no input for an image.")
    model = inliner.inline_local_functions(model)
    model = utils.Extractor(model).extract_model(inputs[:1], list(LAYERS))
    if all(o.version >= MIN_OPSET for o in model.opset_import if o.domain in {"", "ai.onnx"}):
        return model
    try:
        return version_converter.convert_version(model, MIN_OPSET)
    except (version_converter.ConvertError, RuntimeError) as error:
        raise BackboneError(
            f"The backbone {path} cannot be brought to operator set {MIN_OPSET}: {error}"
        ) from error
