"""Writing the layers of a pretrained network from the weights in a state dict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.engine.backbones.state_dicts import StateDict
from blemish.engine.errors import BackboneError
from blemish.engine.graph.writer import GraphWriter

_BATCH_NORM_EPSILON = 1e-5
"""Epsilon of batch normalisations: the default of PyTorch, which timm and torchvision use."""

SHOWN = 3


class WeightedWriter:
    """Writes layers into a graph, and remembers which weights it has used."""

    def __init__(self, state: StateDict, *, architecture: str) -> None:
        self.graph = GraphWriter()
        self._state = state
        self._architecture = architecture
        self._used: set[str] = set()

    def has(self, name: str) -> bool:
        """Tell whether there is a weight of this name."""
        return name in self._state

    def weight(self, name: str, *, ndim: int) -> NDArray[np.float32]:
        """Return a weight.

        Raises:
            BackboneError: the weight is missing, or has another number of dimensions.
        """
        if name not in self._state:
            raise BackboneError(f"The {self._architecture} lacks the weight {name}.")
        value = self._state[name]
        if value.ndim != ndim:
            raise BackboneError(
                f"The weight {name} of the {self._architecture} has the shape {value.shape}; "
                f"it must have {ndim} dimensions."
            )
        self._used.add(name)
        return value

    def conv(
        self,
        x: str,
        name: str,
        norm: str,
        *,
        stride: int = 1,
        groups: int = 1,
        relu: bool = False,
        epsilon: float = _BATCH_NORM_EPSILON,
        same_upper: bool = False,
    ) -> str:
        """Write a convolution with the batch normalisation after it, as one node.

        Args:
            x: the input of the layer.
            name: prefix of the convolution's weights.
            norm: prefix of the batch normalisation's weights.
            stride: the stride of both axes.
            groups: the number of groups of channels.
            relu: whether a ReLU follows.
            epsilon: the epsilon of the batch normalisation.
            same_upper: whether to pad as TensorFlow does, more after than before.
        """
        kernel = self.weight(f"{name}.weight", ndim=4)
        scale = self.weight(f"{norm}.weight", ndim=1) / np.sqrt(
            self.weight(f"{norm}.running_var", ndim=1) + np.float32(epsilon)
        )
        shift = self.weight(f"{norm}.bias", ndim=1) - scale * self.weight(
            f"{norm}.running_mean", ndim=1
        )
        if len(scale) != len(kernel):
            raise BackboneError(
                f"The weights {name} and {norm} of the {self._architecture} do not fit."
            )
        padding: dict[str, Any] = {"pads": [kernel.shape[2] // 2] * 4}
        if same_upper:
            padding = {"auto_pad": "SAME_UPPER"}
        folded = (kernel * scale[:, np.newaxis, np.newaxis, np.newaxis]).astype(np.float32)
        result = self.graph.add(
            "Conv",
            x,
            self.graph.constant(folded),
            self.graph.constant(shift.astype(np.float32)),
            strides=[stride] * 2,
            group=groups,
            **padding,
        )
        return self.graph.add("Relu", result) if relu else result

    def linear(self, x: str, name: str, *, scale: NDArray[np.float32] | None = None) -> str:
        """Write a linear layer over the last axis, each output times `scale`."""
        weights = self.weight(f"{name}.weight", ndim=2)
        bias = self.weight(f"{name}.bias", ndim=1)
        if scale is not None:
            weights, bias = weights * scale[:, np.newaxis], bias * scale
        product = self.graph.add("MatMul", x, self.graph.constant(weights.T))
        return self.graph.add("Add", product, self.graph.constant(bias))

    def ints(self, *values: int) -> str:
        """Write a vector of whole numbers."""
        return self.graph.constant(np.array(values, dtype=np.int64))

    def check_all_used(self, *, ignored: Sequence[str]) -> None:
        """Refuse weights that are neither used nor below one of the `ignored` prefixes.

        Raises:
            BackboneError: there are some, so the weights belong to a similar, unknown network.
        """
        rest = sorted(
            name
            for name in self._state
            if name not in self._used
            and not name.startswith(tuple(ignored))
            and not name.endswith("num_batches_tracked")
        )
        if rest:
            more = f" and {len(rest) - SHOWN} more" if len(rest) > SHOWN else ""
            raise BackboneError(
                f"The architecture {self._architecture} does not have the weights "
                f"{', '.join(rest[:SHOWN])}{more}."
            )
