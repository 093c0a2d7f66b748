"""What the graph's segmentation does to class logits, again in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.engine.graph.segmentation import EDGE_VARIANCE

Floats = NDArray[np.floating[Any]]


def refined(logits: NDArray[np.float32], pixels: NDArray[np.uint8]) -> Floats:
    """Bring logits (classes, h, w) to pixels (classes, H, W) along the image's edges.

    The image's sides are multiples of the grid's.
    """
    _, h, w = logits.shape
    height, width, _ = pixels.shape
    luminance = pixels @ np.array([0.299, 0.587, 0.114]) / 255
    parts = luminance.reshape(h, height // h, w, width // w)
    on_grid, squares = parts.mean(axis=(1, 3)), (parts**2).mean(axis=(1, 3))
    variance = mean_around(squares) - mean_around(on_grid) ** 2
    detail = luminance - enlarged(on_grid, (height, width))
    planes = []
    for plane in logits:
        together = mean_around(plane * on_grid) - mean_around(plane) * mean_around(on_grid)
        slopes = together / (np.maximum(variance, 0) + EDGE_VARIANCE)
        along = enlarged(slopes, (height, width)) * detail
        planes.append(enlarged(plane, (height, width)) + along)
    return np.stack(planes)


def mean_around(grid: Floats) -> Floats:
    """Average over three by three cells; fewer at the border."""
    h, w = grid.shape
    means = [
        [grid[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].mean() for x in range(w)]
        for y in range(h)
    ]
    return np.array(means)


def enlarged(grid: Floats, size: tuple[int, int]) -> Floats:
    """Enlarge bilinearly to (height, width)."""
    image = Image.fromarray(grid.astype(np.float32))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))
