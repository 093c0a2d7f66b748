"""Areas of an image as tools describe them, and their pixels.

A pixel belongs to a polygon if its centre is inside. So an outline along the edges of pixels gives
these very pixels again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from blemish.interchange.run_lengths import decode_brush, decode_runs

Points: TypeAlias = NDArray[np.float64]
"""(n, 2) of x and y in pixels from the upper left corner of the image."""

MAX_POINTS = 100_000
"""Of one polygon; tools draw some hundred."""

FAR = 1e9
"""Pixels from the image beyond which a position makes no difference."""

_CROSSINGS = 4_000_000
"""Crossings of edges and rows that are held at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Polygon:
    """An area inside one or more outlines; several are united."""

    rings: Sequence[Points]
    #: whether the points are shares of the image's width and height instead of pixels
    is_relative: bool = False


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle with upright sides: its edges in pixels, or in shares of the image's size."""

    left: float
    top: float
    right: float
    bottom: float
    is_relative: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Runs:
    """Runs of equal pixels, the first of background, of a window of the image."""

    counts: Sequence[int]
    #: (left, top, width, height); None for the whole image
    window: tuple[int, int, int, int] | None = None
    #: whether they go down the columns, as in COCO
    by_columns: bool = False


@dataclass(frozen=True, kw_only=True)
class Brush:
    """The codes of Label Studio's brush."""

    codes: bytes


@dataclass(frozen=True, kw_only=True)
class MaskImage:
    """An image file of the same folder, whose pixels that are not black belong to the area."""

    path: str


Shape: TypeAlias = Polygon | Box | Runs | Brush | MaskImage

MaskReader: TypeAlias = Callable[[MaskImage], NDArray[np.bool_]]
"""Returns the (H, W) pixels of a mask file."""


def painted(shape: Shape, *, size: tuple[int, int], read_mask: MaskReader) -> NDArray[np.bool_]:
    """Return the (H, W) pixels of a shape in an image of (width, height).

    Raises:
        ValueError: the shape has no pixel in the image, or contradicts the size; the message is the
            rest of a sentence that begins with the shape.
        InterchangeError: a mask file cannot be read.
    """
    match shape:
        case Polygon():
            mask = _polygon(shape, size)
        case Box():
            mask = _box(shape, size)
        case Runs():
            mask = _runs(shape, size)
        case Brush():
            mask = decode_brush(shape.codes, size=size)
        case MaskImage():
            mask = read_mask(shape)
            if mask.shape != size[::-1]:
                raise ValueError(
                    f"has {mask.shape[1]:,} x {mask.shape[0]:,} pixels, its image {size[0]:,} x "
                    f"{size[1]:,}; they must be the same"
                )
    if not mask.any() and not isinstance(shape, MaskImage):
        raise ValueError(f"has no pixel in its image of {size[0]:,} x {size[1]:,}{_extent(shape)}")
    return mask


def fill_outline(points: Points, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the (H, W) pixels inside an outline by the even-odd rule.

    An outline between the centres of pixels has the pixels of its points.
    """
    width, height = size
    points = np.clip(points, -FAR, FAR)
    toggles = np.zeros((height, width + 1), dtype=np.uint32)
    ends = np.roll(points, -1, axis=0)
    low = np.minimum(points[:, 1], ends[:, 1])
    high = np.maximum(points[:, 1], ends[:, 1])
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64)
    crossings = np.cumsum(last - first)
    start = 0
    while start < len(points):
        before = crossings[start - 1] if start else 0
        end = int(np.searchsorted(crossings, before + _CROSSINGS, side="right"))
        edges = slice(start, max(end, start + 1))
        _toggle(toggles, points[edges], ends[edges], first[edges], last[edges])
        start = edges.stop
    counts = np.cumsum(toggles, axis=1, dtype=np.uint32)[:, :width]
    mask = np.asarray(counts % 2 == 1, dtype=np.bool_)
    if not mask.any():
        _mark(mask, points)
    return mask


def _toggle(
    toggles: NDArray[np.uint32],
    starts: Points,
    ends: Points,
    first: NDArray[np.int64],
    last: NDArray[np.int64],
) -> None:
    """Count, for each row, the columns from which on edges change what is inside."""
    counts = last - first
    edges = np.repeat(np.arange(len(starts)), counts)
    if not len(edges):
        return
    offsets = np.arange(len(edges)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows = first[edges] + offsets
    x, y = starts[edges].T
    slopes = (ends[edges, 0] - x) / (ends[edges, 1] - y)
    columns = np.ceil(x + (rows + 0.5 - y) * slopes - 0.5)
    columns = np.clip(columns, 0, toggles.shape[1] - 1).astype(np.int64)
    np.add.at(toggles, (rows, columns), 1)


def _mark(mask: NDArray[np.bool_], points: Points) -> None:
    """Paint the pixels that the points of a very thin outline are in."""
    columns, rows = np.floor(points).astype(np.int64).T
    inside = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
    mask[rows[inside], columns[inside]] = True


def _polygon(polygon: Polygon, size: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(size[::-1], dtype=np.bool_)
    for ring in polygon.rings:
        mask |= fill_outline(ring * size if polygon.is_relative else ring, size)
    return mask


def _box(box: Box, size: tuple[int, int]) -> NDArray[np.bool_]:
    width, height = size if box.is_relative else (1, 1)
    mask = np.zeros(size[::-1], dtype=np.bool_)
    left, right = _span(box.left * width, box.right * width, size[0])
    top, bottom = _span(box.top * height, box.bottom * height, size[1])
    mask[top:bottom, left:right] = True
    return mask


def _span(low: float, high: float, length: int) -> tuple[int, int]:
    """Return the pixels whose centres are between two edges, at least one if they are inside."""
    low, high = (min(max(edge, -1.0), length + 1.0) for edge in sorted((low, high)))
    first, last = int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))
    if first >= last:
        first = int(np.floor(low))
        last = first + 1
    return max(0, first), max(0, min(length, last))


def _runs(runs: Runs, size: tuple[int, int]) -> NDArray[np.bool_]:
    left, top, width, height = runs.window or (0, 0, *size)
    if width <= 0 or height <= 0 or width > size[0] or height > size[1]:
        raise ValueError(
            f"has a window of {width:,} x {height:,} pixels, its image {size[0]:,} x {size[1]:,}"
        )
    turned = (height, width) if runs.by_columns else (width, height)
    window = decode_runs(runs.counts, size=turned)
    mask = np.zeros(size[::-1], dtype=np.bool_)
    rows, columns = slice(max(0, top), top + height), slice(max(0, left), left + width)
    window = (window.T if runs.by_columns else window)[max(0, -top) :, max(0, -left) :]
    area = mask[rows, columns]
    mask[rows, columns] = window[: area.shape[0], : area.shape[1]]
    return mask


def _extent(shape: Shape) -> str:
    """Return the values of a shape as the end of a sentence."""
    match shape:
        case Polygon():
            points = np.concatenate(shape.rings)
            low, high = points.min(axis=0), points.max(axis=0)
            return f": its points have x {low[0]:g} to {high[0]:g}, y {low[1]:g} to {high[1]:g}"
        case Box():
            return (
                f": it has x {shape.left:g} to {shape.right:g}, y {shape.top:g} to {shape.bottom:g}"
            )
    return ""
