"""The part of the graph that computes the anomaly type of each pixel.

feature maps -> class logits of each patch -> margins over the background, upsampled to pixels and
refined to the edges of the image -> small specks removed -> class probabilities
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from blemish.engine.backbones.embedding import FeatureMaps, add_readout
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.images.upsample import add_upsampled
from blemish.engine.scorers.patch_classifier import PatchClassifier

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32) / np.float32(255)
"""Weights of RGB in the luminance, which is 0 to 1. Source: ITU-R BT.601."""

EDGE_VARIANCE = 1e-3
"""Variance of the luminance in three by three patches below which an image has no edge to follow:
a deviation of 8 of 255. A third to ten times of it changed IoU of cracked cookies by 0.001, of
papers by up to 0.05, in favour of small ones."""

SPECK_WINDOW = 3
"""Patches along the side of the window within which a region is measured."""


def add_class_probabilities(
    graph: GraphWriter, maps: FeatureMaps, head: PatchClassifier, size: tuple[int, int]
) -> None:
    """Write the probability of each class at each pixel, as an output."""
    types = len(head.bias) - 1
    hidden = add_readout(graph, maps, weights=head.hidden_weights, bias=head.hidden_bias)
    over_background = (head.weights[:, 1:] - head.weights[:, :1]).T
    kernel = graph.constant(np.ascontiguousarray(over_background)[:, :, np.newaxis, np.newaxis])
    bias = graph.constant(head.bias[1:] - head.bias[0])
    coarse = graph.add("Conv", graph.add("Relu", hidden), kernel, bias)

    margins = _add_refined(graph, coarse, maps, size, types=types)
    if head.speck_area > 0:
        highest = _add_over_types(graph, "Max", margins, types=types)
        grids = maps.grid, size
        margins = _add_without_specks(graph, margins, highest, grids, area=head.speck_area)
    # A softmax over the first axis, in parts: ONNX Runtime's own would transpose the array.
    zero = graph.constant(np.zeros((1, 1, 1), dtype=np.float32))
    highest = graph.add("Relu", _add_over_types(graph, "Max", margins, types=types))
    odds = graph.add("Exp", graph.add("Sub", margins, highest))
    background = graph.add("Exp", graph.add("Sub", zero, highest))
    total = graph.add("Add", _add_over_types(graph, "Sum", odds, types=types), background)
    every = graph.add("Concat", background, odds, axis=0)
    if maps.regions is None:
        graph.add("Div", every, total, output="class_probabilities")
    else:
        nothing = graph.constant(np.eye(types + 1, 1, dtype=np.float32)[:, :, np.newaxis])
        shares = graph.add("Div", every, total)
        maps.regions.add_where_inspected(graph, shares, nothing, output="class_probabilities")
    graph.output("class_probabilities", np.float32, (types + 1, *size))


def _add_refined(
    graph: GraphWriter, coarse: str, maps: FeatureMaps, size: tuple[int, int], *, types: int
) -> str:
    """Write margins (1, types, h, w) to (types, height, width), by the image's luminance.

    Around each patch a line is fitted from luminance to margin. The upsampled margin moves
    along this line by the difference between a pixel's luminance and its surroundings': where light
    and margin correlate, the margin changes sign at the edge in the image.

    Source: He et al., "Guided Image Filtering", TPAMI 35, 2013; He and Sun, "Fast Guided Filter",
        2015, for lines fitted on a coarse grid.
    """
    grid = maps.grid
    luminance = _add_luminance(graph, maps.pixels, size)
    on_grid = _add_on_grid(graph, luminance, grid, size)
    square = _add_on_grid(graph, graph.add("Mul", luminance, luminance), grid, size)
    mean = _add_mean(graph, on_grid)
    variance = graph.add("Sub", _add_mean(graph, square), graph.add("Mul", mean, mean))
    together = _add_mean(graph, graph.add("Mul", coarse, on_grid))
    apart = graph.add("Mul", _add_mean(graph, coarse), mean)
    slopes = graph.add("Sub", together, apart)
    slopes = graph.add(
        "Div", slopes, graph.add("Add", graph.add("Relu", variance), _scalar(graph, EDGE_VARIANCE))
    )

    detail = graph.add("Sub", luminance, add_upsampled(graph, on_grid, grid, size))
    along = graph.add("Mul", add_upsampled(graph, slopes, grid, size), detail)
    refined = graph.add("Add", add_upsampled(graph, coarse, grid, size), along)
    return graph.add("Reshape", refined, _ints(graph, types, *size))


def _add_luminance(graph: GraphWriter, pixels: str, size: tuple[int, int]) -> str:
    """Write the luminance of the pixels, (1, 1, height, width)."""
    pixels = graph.add("Cast", pixels, to=1)
    luminance = graph.add("MatMul", pixels, graph.constant(_LUMINANCE.reshape(3, 1)))
    return graph.add("Reshape", luminance, _ints(graph, 1, 1, *size))


def _add_on_grid(
    graph: GraphWriter, values: str, grid: tuple[int, int], size: tuple[int, int]
) -> str:
    """Write the mean over each patch's pixels, (1, 1, h, w)."""
    rows = graph.constant(averaging_matrix(size[0], grid[0]))
    columns = graph.constant(averaging_matrix(size[1], grid[1]).T)
    return graph.add("MatMul", graph.add("MatMul", rows, values), columns)


def _add_mean(graph: GraphWriter, values: str) -> str:
    """Write the mean over the three by three patches around each patch."""
    return graph.add("AveragePool", values, kernel_shape=[3, 3], pads=[1] * 4)


def _add_over_types(graph: GraphWriter, op: str, values: str, *, types: int) -> str:
    """Write the maximum or the sum (1, height, width) of values (types, height, width).

    ONNX Runtime's reductions over the first axis take several times as long.
    """
    return values if types == 1 else graph.add(op, *graph.add_split(values, [1] * types))


def _add_without_specks(
    graph: GraphWriter,
    margins: str,
    highest: str,
    grids: tuple[tuple[int, int], tuple[int, int]],
    *,
    area: float,
) -> str:
    """Write the margins (types, height, width) again, negative where a speck was.

    `highest` is the largest margin of each pixel, `grids` the (h, w) of patches and of pixels.

    A pixel stays if a window around any patch contains it, and anomalies cover at least `area`
    patches of this window. The window is larger than its patch, so that the ends of long regions
    stay too.
    """
    grid, size = grids
    rows, columns = (window_matrix(pixels, cells) for pixels, cells in zip(size, grid, strict=True))
    anomalous = graph.add("Greater", highest, _scalar(graph, 0))
    least = area * (size[0] / grid[0]) * (size[1] / grid[1])
    covered = _add_product(graph, rows, anomalous, columns.T)
    large = graph.add("Greater", covered, _scalar(graph, least - 0.5))
    near = graph.add("Greater", _add_product(graph, rows.T, large, columns), _scalar(graph, 0.5))
    return graph.add("Where", near, margins, graph.add("Neg", graph.add("Abs", margins)))


def _add_product(
    graph: GraphWriter, rows: NDArray[np.float32], flags: str, columns: NDArray[np.float32]
) -> str:
    """Write the product of a matrix, flags as 0 and 1, and a matrix."""
    numbers = graph.add("Cast", flags, to=1)
    return graph.add(
        "MatMul", graph.add("MatMul", graph.constant(rows), numbers), graph.constant(columns)
    )


def averaging_matrix(before: int, after: int) -> NDArray[np.float32]:
    """Return the (after, before) matrix that averages one side over equal parts."""
    starts = np.arange(after)[:, np.newaxis] * before / after
    pixel = np.arange(before)
    covered = np.minimum(pixel + 1, starts + before / after) - np.maximum(pixel, starts)
    matrix: NDArray[np.float32] = (np.maximum(covered, 0) * after / before).astype(np.float32)
    return matrix


def window_matrix(side: int, cells: int) -> NDArray[np.float32]:
    """Return the (cells, side) matrix that sums up one side in a window around each cell's middle.

    The window is `SPECK_WINDOW` cells long.
    """
    middles = (np.arange(cells)[:, np.newaxis] + 0.5) * side / cells - 0.5
    within = 2 * np.abs(middles - np.arange(side)) <= SPECK_WINDOW * side / cells
    matrix: NDArray[np.float32] = within.astype(np.float32)
    return matrix


def _ints(graph: GraphWriter, *values: int) -> str:
    return graph.constant(np.array(values, dtype=np.int64))


def _scalar(graph: GraphWriter, value: float) -> str:
    return graph.constant(np.array(value, dtype=np.float32))
