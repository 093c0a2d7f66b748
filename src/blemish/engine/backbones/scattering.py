"""The built-in backbone: a wavelet scattering, written in code and trained on nothing.

The logarithm of an image, in which brighter light only adds a constant, enters a pyramid. On each
level, Morlet wavelets of eight directions respond to edges and grain. The modulus of the responses
passes to the next level, where wavelets of four directions measure how it varies. The logarithms of
all moduli are averaged to one grid. No training data means no bias towards other products.

Sources: Mallat, "Group Invariant Scattering", Communications on Pure and Applied Mathematics 2012;
Bruna and Mallat, "Invariant Scattering Convolution Networks", TPAMI 2013. Wavelength, directions,
levels, colours and floors come from measurements: docs/adr/0028.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from blemish.engine.graph.writer import GraphWriter
from blemish.engine.images.resize import IMAGENET_DEVIATION, IMAGENET_MEAN

LEVELS = 4
STRIDE = 8
"""Stride in pixels between patches, and between the pixels of the last level."""

DIRECTIONS, DIRECTIONS_OF_SECOND = 8, 4

PIXEL_FLOOR, FLOOR = 0.05, 0.001
"""Floors before a logarithm: for RGB from 0 to 1, and for averages of wavelet responses."""

CONTRAST, OF_MEANS = 0.4, 2.0
"""Factors of the logarithm of pixels and of the mean colours, which bring all to one scale."""

_SIDE, _WAVELENGTH, _WIDTH, _SLANT = 7, 4.0, 1.6, 0.6
_RADIUS = _SIDE // 2
_GRAIN = 2.0**30
_ALMOST_ZERO = 1e-8
"""Constant under the square root of a modulus, as in the measurements."""

_OPPONENT = np.array([[1 / 3, 1 / 3, 1 / 3], [1 / 2, -1 / 2, 0], [1 / 4, 1 / 4, -1 / 2]])
"""Matrix from RGB to luma, red against green, and yellow against blue."""

_BINOMIAL = np.array([1, 3, 3, 1]) / 8


def scattering() -> onnx.ModelProto:
    """Write the network: (B, 3, H, W) RGB without ImageNet's mean and deviation, to `LAYERS`.

    Both have an eighth of H and W; `layer3` is the output of the last level.
    """
    return _Scattering().written()


def morlet(directions: int) -> NDArray[np.complex128]:
    """Return wavelets (directions, 7, 7) under a window: mean 0, the modulus sums to 2."""
    y, x = np.mgrid[-_RADIUS : _RADIUS + 1, -_RADIUS : _RADIUS + 1].astype(np.float64)
    waves = []
    for angle in np.arange(directions) * np.pi / directions:
        along = x * np.cos(angle) + y * np.sin(angle)
        across = y * np.cos(angle) - x * np.sin(angle)
        window = np.exp(-(along**2 + (_SLANT * across) ** 2) / (2 * _WIDTH**2))
        wave = np.exp(2j * np.pi * along / _WAVELENGTH)
        wave = window * (wave - (window * wave).sum() / window.sum())
        waves.append(2 * wave / np.abs(wave).sum())
    return np.stack(waves)


def _float32(kernels: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round away the last bits of a sine and the sign of a zero, which differ between machines."""
    return (np.rint(kernels * _GRAIN) / _GRAIN + 0.0).astype(np.float32)


class _Scattering:
    """Writes the network, level by level."""

    def __init__(self) -> None:
        self._graph = GraphWriter()
        #: layer -> the values that are joined to it
        self._parts: dict[str, list[str]] = {"layer2": [], "layer3": []}

    def written(self) -> onnx.ModelProto:
        graph, colours = self._graph, self._colours()
        for level in range(LEVELS):
            moduli = self._first_order(colours, level)
            if level == LEVELS - 1:
                break
            halved = self._halved(moduli, channels=DIRECTIONS)
            second = self._modulus(halved, DIRECTIONS_OF_SECOND, channels=DIRECTIONS)
            self._emit(second, level + 1)
            colours = self._halved(colours, channels=3)
        means = graph.add("Mul", self._averaged(colours, LEVELS - 1), graph.scalar(OF_MEANS))
        self._parts["layer3"].append(means)
        for layer, parts in self._parts.items():
            graph.add("Concat", *parts, axis=1, output=layer)
            graph.output(layer, np.float32, ("B", f"C_{layer}", f"h_{layer}", f"w_{layer}"))
        return graph.model()

    def _colours(self) -> str:
        """Write the logarithm of RGB, and its opponent colours."""
        graph = self._graph
        image = graph.input("image", np.float32, ("B", 3, "H", "W"))
        deviation, mean = (
            graph.constant(values.astype(np.float32).reshape(1, 3, 1, 1))
            for values in (IMAGENET_DEVIATION, IMAGENET_MEAN + PIXEL_FLOOR)
        )
        rgb = graph.add("Add", graph.add("Mul", image, deviation), mean)
        logarithm = graph.add("Mul", graph.add("Log", rgb), graph.scalar(CONTRAST))
        kernel = graph.constant(_OPPONENT[:, :, np.newaxis, np.newaxis].astype(np.float32))
        return graph.add("Conv", logarithm, kernel)

    def _first_order(self, colours: str, level: int) -> str:
        """Emit the moduli of a level and return those of luma; colours begin on the second."""
        if level == 0:
            luma = self._first_channels(colours, 1)
            moduli = self._modulus(luma, DIRECTIONS, channels=1)
            self._emit(moduli, level)
            return moduli
        moduli = self._modulus(colours, DIRECTIONS, channels=3)
        self._emit(moduli, level)
        return self._first_channels(moduli, DIRECTIONS)

    def _modulus(self, values: str, directions: int, *, channels: int) -> str:
        """Write the modulus of the wavelet responses in all directions, for each channel.

        Channels pass as images of one channel: ONNX Runtime is slow at convolutions in groups. One
        convolution has the real and imaginary parts of all directions.
        """
        graph, waves = self._graph, morlet(directions)
        if channels > 1:
            values = graph.add("Reshape", values, graph.ints(-1, 1, 0, 0))
        kernels = _float32(np.concatenate([waves.real, waves.imag]))[:, np.newaxis]
        padded = self._padded(values, _RADIUS)
        responses = graph.add("Conv", padded, graph.constant(kernels))
        squares = graph.add("Mul", responses, responses)
        real, imaginary = graph.add_split(squares, [directions] * 2, axis=1)
        power = graph.add("Add", graph.add("Add", real, imaginary), graph.scalar(_ALMOST_ZERO))
        modulus = graph.add("Sqrt", power)
        if channels == 1:
            return modulus
        return graph.add("Reshape", modulus, graph.ints(-1, channels * directions, 0, 0))

    def _emit(self, moduli: str, level: int) -> None:
        """Add the logarithm of averages to the output."""
        averaged = self._averaged(moduli, level)
        floored = self._graph.add("Add", averaged, self._graph.scalar(FLOOR))
        layer = "layer3" if level == LEVELS - 1 else "layer2"
        self._parts[layer].append(self._graph.add("Log", floored))

    def _averaged(self, values: str, level: int) -> str:
        """Write averages over three by three positions on the grid of the patches.

        Each position has an average over twice its stride. It is that of averages over a quarter of
        this, which take fewer operations.
        """
        graph, step = self._graph, STRIDE >> level
        if (part := step // 2) > 1:
            values = graph.add("AveragePool", values, kernel_shape=[part] * 2, strides=[part] * 2)
        if step > 1:
            values = graph.add(
                "AveragePool", values, kernel_shape=[4] * 2, strides=[2] * 2, pads=[1] * 4
            )
        return graph.add("AveragePool", values, kernel_shape=[3, 3], pads=[1] * 4)

    def _halved(self, values: str, *, channels: int) -> str:
        """Write the smoothed image at half the size."""
        kernel = np.outer(_BINOMIAL, _BINOMIAL).astype(np.float32)
        kernels = self._graph.constant(np.tile(kernel, (channels, 1, 1, 1)))
        padded = self._padded(values, 1)
        return self._graph.add("Conv", padded, kernels, strides=[2, 2], group=channels)

    def _padded(self, values: str, by: int) -> str:
        """Mirror at the border, because zeros would add an edge."""
        sides = self._graph.ints(0, 0, by, by, 0, 0, by, by)
        return self._graph.add("Pad", values, sides, mode="reflect")

    def _first_channels(self, values: str, count: int) -> str:
        graph = self._graph
        return graph.add("Slice", values, graph.ints(0), graph.ints(count), graph.ints(1))
