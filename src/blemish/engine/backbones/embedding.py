"""Patch embeddings: one row of features for each patch of an image.

An embedding joins the feature maps of the backbone's layers, each averaged over 3 x 3 positions and
brought to the grid of the first. Average and resize are linear and treat every channel alike, so
a graph computes linear functions of an embedding on the feature maps, before average and resize,
where they are cheaper. It computes embeddings of full width only where they are an output.

Source: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.engine.backbones.backbone import Backbone, feature_shapes
from blemish.engine.graph.regions import GraphRegions
from blemish.engine.graph.sessions import open_session
from blemish.engine.graph.tiles import TiledSide, tiled_side
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.images.regions import InspectedArea
from blemish.engine.images.resize import IMAGENET_DEVIATION, IMAGENET_MEAN

PIXELS = "pixels"
_PREFIX = "backbone/"
_TILE_PREFIX = "tile/"


@dataclass(frozen=True, kw_only=True)
class FeatureMaps:
    """The feature maps of one image inside a graph."""

    #: layer -> name of the value in the graph
    names: dict[str, str]
    #: layer -> (C, h, w)
    shapes: dict[str, tuple[int, ...]]
    #: name of the pixels that the backbone sees, (1, height, width, 3) uint8
    pixels: str = PIXELS
    #: None if everything counts
    regions: GraphRegions | None = None

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) of the patches."""
        _, h, w = next(iter(self.shapes.values()))
        return h, w

    @property
    def width(self) -> int:
        """Width of an embedding."""
        return sum(shape[0] for shape in self.shapes.values())

    @property
    def channels(self) -> dict[str, slice]:
        """The slice of an embedding that each layer's channels take."""
        ends = accumulate(shape[0] for shape in self.shapes.values())
        return {
            layer: slice(end - shape[0], end)
            for (layer, shape), end in zip(self.shapes.items(), ends, strict=True)
        }


def add_features(
    graph: GraphWriter,
    backbone: Backbone,
    *,
    width: int,
    height: int,
    area: InspectedArea | None = None,
) -> FeatureMaps:
    """Add an input for uint8 RGB pixels (1, height, width, 3), and the backbone's feature maps.

    The feature maps of a large image are computed tile by tile. With an `area`, the backbone does
    not see what is ignored.

    Raises:
        BackboneError: the backbone does not run on images of this size.
    """
    pixels = graph.input(PIXELS, np.uint8, (1, height, width, 3))
    regions = None if area is None else GraphRegions.add(graph, area)
    if regions is not None:
        pixels = regions.add_filled(graph, pixels)
    columns, rows = (tiled_side(side, step=backbone.step) for side in (width, height))
    shapes = feature_shapes(backbone, width=columns.length, height=rows.length)
    if len(columns.starts) == len(rows.starts) == 1:
        _add_network(graph, backbone, pixels)
        names = {layer: _PREFIX + layer for layer in backbone.layers}
        return FeatureMaps(names=names, shapes=shapes, pixels=pixels, regions=regions)
    tiles = [
        _add_part(graph, pixels, (top, left), (top + rows.length, left + columns.length), axis=1)
        for top in rows.starts
        for left in columns.starts
    ]
    body = GraphWriter(prefix=_TILE_PREFIX)
    shape = (rows.length, columns.length, 3)
    tile = body.input(f"{_TILE_PREFIX}{PIXELS}", np.uint8, shape)
    _add_network(body, backbone, body.add("Unsqueeze", tile, body.ints(0)))
    for layer in backbone.layers:
        body.output(_PREFIX + layer, np.float32, (1, *shapes[layer]))
    maps = graph.add_scan(body, graph.add("Concat", *tiles, axis=0))
    names = {
        layer: _add_joined(graph, name, shapes[layer], rows, columns)
        for layer, name in zip(backbone.layers, maps, strict=True)
    }
    whole = _whole_shapes(shapes, rows, columns)
    return FeatureMaps(names=names, shapes=whole, pixels=pixels, regions=regions)


def _add_network(graph: GraphWriter, backbone: Backbone, pixels: str) -> None:
    """Write the backbone for pixels (1, height, width, 3)."""
    scale = graph.constant((1 / (255 * IMAGENET_DEVIATION)).reshape(1, 3, 1, 1))
    shift = graph.constant((-IMAGENET_MEAN / IMAGENET_DEVIATION).reshape(1, 3, 1, 1))
    planes = graph.add("Transpose", pixels, perm=[0, 3, 1, 2])
    scaled = graph.add("Mul", graph.add("Cast", planes, to=1), scale)
    graph.add("Add", scaled, shift, output=_PREFIX + backbone.input_name)
    graph.adopt(backbone.model, prefix=_PREFIX)


def _add_part(
    graph: GraphWriter, values: str, start: tuple[int, int], end: tuple[int, int], *, axis: int
) -> str:
    """Write a rectangle of values whose height and width are this axis and the next one."""
    axes = graph.ints(axis, axis + 1)
    return graph.add("Slice", values, graph.ints(*start), graph.ints(*end), axes)


def _add_joined(
    graph: GraphWriter, maps: str, shape: tuple[int, ...], rows: TiledSide, columns: TiledSide
) -> str:
    """Write the feature map (1, C, h, w) of an image from those of its tiles (T, 1, C, h, w)."""
    stride = rows.length // shape[1]
    count = len(rows.starts) * len(columns.starts)
    tiles = iter(graph.add_split(maps, [1] * count))
    bands = []
    for top, (first_row, last_row) in zip(rows.starts, rows.used, strict=True):
        parts = []
        for left, (first, last) in zip(columns.starts, columns.used, strict=True):
            start = (first_row - top) // stride, (first - left) // stride
            end = (last_row - top) // stride, (last - left) // stride
            parts.append(_add_part(graph, next(tiles), start, end, axis=3))
        bands.append(graph.add("Concat", *parts, axis=4))
    return graph.add("Squeeze", graph.add("Concat", *bands, axis=3), graph.ints(0))


def _whole_shapes(
    shapes: dict[str, tuple[int, ...]], rows: TiledSide, columns: TiledSide
) -> dict[str, tuple[int, ...]]:
    """Return the shapes (C, h, w) of the feature maps of a whole image."""
    height, width = rows.used[-1][1], columns.used[-1][1]
    return {
        layer: (channels, h * height // rows.length, w * width // columns.length)
        for layer, (channels, h, w) in shapes.items()
    }


def add_readout(
    graph: GraphWriter,
    maps: FeatureMaps,
    *,
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> str:
    """Write `embedding @ weights + bias` for every patch; the result is (1, k, h, w).

    Columns that have no weight on a layer do not read it.

    Args:
        graph: the graph to write to.
        maps: the feature maps that form the embeddings of width d.
        weights: (d, k).
        bias: (k,).
    """
    used = np.stack([weights[part].any(axis=0) for part in maps.channels.values()])
    ends = [*(np.flatnonzero((used[:, 1:] != used[:, :-1]).any(axis=0)) + 1), used.shape[1]]
    parts, start = [], 0
    for end in ends:
        layers = [layer for layer, uses in zip(maps.shapes, used[:, start], strict=True) if uses]
        columns = slice(start, end)
        parts.append(
            _add_columns(
                graph,
                maps,
                layers or list(maps.shapes)[:1],
                weights=weights[:, columns],
                bias=bias[columns],
            )
        )
        start = end
    return graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]


def _add_columns(
    graph: GraphWriter,
    maps: FeatureMaps,
    layers: Sequence[str],
    *,
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> str:
    """Write columns of a readout that all have weights on the same layers."""
    parts: list[str] = []
    for layer in layers:
        rows = weights[maps.channels[layer]]
        kernel = [graph.constant(rows.T[:, :, np.newaxis, np.newaxis])]
        if not parts:  # adding it once is enough: average and resize keep a constant
            kernel.append(graph.constant(bias))
        part = graph.add("Conv", maps.names[layer], *kernel)
        part = graph.add("AveragePool", part, kernel_shape=[3, 3], pads=[1] * 4)
        parts.append(_add_resized(graph, maps, part, layer, channels=weights.shape[1]))
    return graph.add("Sum", *parts)


def _add_resized(
    graph: GraphWriter, maps: FeatureMaps, part: str, layer: str, *, channels: int
) -> str:
    """Bring values (1, channels, h, w) on the grid of a layer to that of the patches."""
    if maps.shapes[layer][1:] == maps.grid:
        return part
    size = graph.constant(np.array([1, channels, *maps.grid], dtype=np.int64))
    return graph.add("Resize", part, "", "", size, mode="linear")


def add_embeddings(graph: GraphWriter, maps: FeatureMaps) -> list[str]:
    """Write the embeddings of full width; the result is (1, C, h, w) of each layer."""
    parts = []
    for layer, (channels, *_) in maps.shapes.items():
        part = graph.add("AveragePool", maps.names[layer], kernel_shape=[3, 3], pads=[1] * 4)
        parts.append(_add_resized(graph, maps, part, layer, channels=channels))
    return parts


class Embedder:
    """Runs a backbone over images of one size."""

    def __init__(self, backbone: Backbone, *, width: int, height: int, threads: int) -> None:
        graph = GraphWriter()
        maps = add_features(graph, backbone, width=width, height=height)
        graph.add("Concat", *add_embeddings(graph, maps), output="embeddings", axis=1)
        graph.output("embeddings", np.float32, (1, maps.width, *maps.grid))
        #: (width, height) of the images
        self.size = (width, height)
        #: (h, w) of the patches
        self.grid = maps.grid
        #: of an embedding
        self.width = maps.width
        #: layer -> its channels in an embedding
        self.channels = maps.channels
        #: whether the memory bank alone learns from normal images
        self.bank_alone = backbone.bank_alone
        #: network of the backbone -> its channels in an embedding
        self.networks = {
            name: slice(maps.channels[layers[0]].start, maps.channels[layers[-1]].stop)
            for name, layers in backbone.networks.items()
        }
        self._session = open_session(graph.model().SerializeToString(), threads=threads)

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the (n, d) embeddings of one image, (height, width, 3) RGB, row by row."""
        outputs: list[NDArray[Any]] = self._session.run(None, {PIXELS: pixels[np.newaxis]})
        embeddings: NDArray[np.float32] = outputs[0].reshape(self.width, -1).T
        return np.ascontiguousarray(embeddings)
