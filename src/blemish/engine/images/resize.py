"""Resizing images to the size at which a graph sees them."""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GRAPH_STEP = 32
"""The sides of a graph's images are multiples of this, the total stride of a residual network."""

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)
"""Of RGB values from 0 to 1. Source: torchvision, "Models and pre-trained weights"."""


def resize(
    pixels: NDArray[np.uint8], *, width: int, height: int, helper: Executor | None = None
) -> NDArray[np.uint8]:
    """Resize (H, W, 3) RGB by Pillow's bilinear filter, which averages when it shrinks.

    The same array comes back if it has the size already. A helper's thread resizes the lower half
    if it is free; the result is the same.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    image = Image.fromarray(pixels)
    size = width, height
    if helper is None or not _halves_agree(image.size, size):
        return np.asarray(resized(image, size))
    upper, lower = _halves(image.size, size)
    lower_half = helper.submit(_resize_part, image, lower)
    upper_half = _resize_part(image, upper)
    is_cancelled = lower_half.cancel()
    return np.vstack(
        [upper_half, _resize_part(image, lower) if is_cancelled else lower_half.result()]
    )


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return an RGB image at a (width, height), by the filter of `resize`."""
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Rows of an image, and the (width, height) that they get."""

    box: tuple[int, int, int, int]
    size: tuple[int, int]


def _halves(before: tuple[int, int], after: tuple[int, int]) -> tuple[_Part, _Part]:
    """Return the upper and the lower half, which both begin at whole rows.

    Pillow takes the sides of a box as 32-bit numbers. The upper half is empty if there are no such
    halves.
    """
    (width, height), (width_after, height_after) = before, after
    parts = math.gcd(height, height_after)
    middle, middle_after = (side // parts * (parts // 2) for side in (height, height_after))
    upper = _Part(box=(0, 0, width, middle), size=(width_after, middle_after))
    lower_size = width_after, height_after - middle_after
    return upper, _Part(box=(0, middle, width, height), size=lower_size)


@lru_cache(maxsize=64)
def _halves_agree(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Return whether two halves are what the whole image is, at these sizes.

    Pillow filters rows or columns first, whichever is faster, and rounds between them: halves may
    be filtered in another order than the whole.
    """
    upper, lower = _halves(before, after)
    if not upper.size[1]:
        return False
    noise = np.random.default_rng(0).integers(0, 256, (*before[::-1], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    whole = np.asarray(image.resize(after, Image.Resampling.BILINEAR))
    halves = np.vstack([_resize_part(image, upper), _resize_part(image, lower)])
    return np.array_equal(whole, halves)


def _resize_part(image: Image.Image, part: _Part) -> NDArray[np.uint8]:
    """Resize a part of an image; the filter reads pixels around it, as in the whole image."""
    return np.asarray(image.resize(part.size, Image.Resampling.BILINEAR, part.box))


def resize_nearest(values: NDArray[np.uint8], *, width: int, height: int) -> NDArray[np.uint8]:
    """Resize (h, w) or (h, w, C) as Pillow does by its nearest filter, in a third of its time."""
    rows, columns = values.shape[:2]
    wide = values.take(nearest_positions(columns, width), axis=1)
    return wide.take(nearest_positions(rows, height), axis=0)


@lru_cache(maxsize=64)
def nearest_positions(before: int, after: int) -> NDArray[np.int32]:
    """Return which of `before` positions Pillow's nearest filter takes for each of `after`."""
    positions = Image.fromarray(np.arange(before, dtype=np.int32)[np.newaxis])
    row = positions.resize((after, 1), Image.Resampling.NEAREST)
    return np.asarray(row, dtype=np.int32).reshape(after)


def graph_size(
    width: int, height: int, *, long_side: int = 256, step: int = GRAPH_STEP
) -> tuple[int, int]:
    """Return the (width, height) at which a graph sees images of this size.

    Both are multiples of `step`: the longer side the nearest to `long_side`, the other the one that
    keeps the aspect best.

    Raises:
        ValueError: `long_side` is less than `step`.
    """
    if long_side < step:
        raise ValueError(f"long_side must be at least {step}, got {long_side}")

    def side(length: int) -> int:
        steps = int(length * long_side / (max(width, height) * step) + 0.5)
        return max(steps, 1) * step

    return side(width), side(height)


def least_decoded(width: int, height: int) -> tuple[int, int]:
    """Return the least (width, height) at which a JPEG is decoded for a graph of this size.

    It is twice the graph's size, so that the last step is Pillow's resizing, whose filter averages.
    With less left for that step, libjpeg's scaling cost up to 0.02 of the image AUROC of a set.
    """
    return 2 * width, 2 * height
