"""Synthetic defects of a known size, pasted into images.

Three kinds alternate: a spot that is darker or brighter, a scratch, and a patch from elsewhere in
the image. Their outlines are irregular and soft by one pixel. The same seed gives the same defects.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIZES = (4, 8, 16, 32, 64)
"""Longest sides of defects, in pixels of the stored image."""

CONTRAST = 60
"""Levels of 255 by which a spot or a scratch differs from its surroundings."""

INNER = 0.7
"""Defects lie in this inner share of each side, where products are."""

_SUPERSAMPLING = 4
_CORNERS = 9

Pixels = NDArray[np.uint8]
Shape = Callable[[int, np.random.Generator], NDArray[np.float32]]


def with_defect(pixels: Pixels, size: int, *, seed: tuple[int, ...]) -> Pixels:
    """Return a copy of an image (H, W, 3) with one defect; the last number selects its kind.

    Args:
        pixels: an RGB image, at least twice as large as the defect.
        size: the longest side of the defect, in pixels.
        seed: of position, outline and contrast.
    """
    generator = np.random.default_rng(seed)
    height, width = pixels.shape[:2]
    top, left = (_start(side, size, generator) for side in (height, width))
    kind = seed[-1] % 3
    cover = _scratch(size, generator) if kind == 1 else _blob(size, generator)
    target = np.s_[top : top + size, left : left + size]
    before = pixels[target].astype(np.float32)
    if kind == 2:
        row, column = (_start(side, size, generator) for side in (height, width))
        after = np.rot90(pixels[row : row + size, column : column + size]).astype(np.float32)
    else:
        brighter = before.mean() < 128 if generator.random() < 0.7 else before.mean() >= 128
        after = before + np.float32(CONTRAST if brighter else -CONTRAST)
    mixed = before + cover[:, :, np.newaxis] * (after - before)
    result = pixels.copy()
    result[target] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return result


def _start(side: int, size: int, generator: np.random.Generator) -> int:
    """Return where a defect begins on one side."""
    margin = int(side * (1 - INNER) / 2)
    return int(generator.integers(margin, max(margin + 1, side - margin - size)))


def _blob(size: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return the cover (size, size), 0 to 1, of a rounded polygon."""
    angles = np.arange(_CORNERS) * 2 * np.pi / _CORNERS
    radii = (size / 2) * generator.uniform(0.75, 1.0, _CORNERS)
    points = size / 2 + radii[:, np.newaxis] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return _drawn(size, lambda draw: draw.polygon(_scaled(points), fill=255))


def _scratch(size: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Return the cover (size, size), 0 to 1, of a line whose width is an eighth of its length."""
    angle = generator.uniform(0, np.pi)
    reach = 0.48 * size * np.array([np.cos(angle), np.sin(angle)])
    points = np.stack([size / 2 - reach, size / 2 + reach])
    width = round(_SUPERSAMPLING * max(1.5, size / 8))
    return _drawn(size, lambda draw: draw.line(_scaled(points), fill=255, width=width))


def _scaled(points: NDArray[np.float64]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in _SUPERSAMPLING * points]


def _drawn(size: int, shape: Callable[[ImageDraw.ImageDraw], None]) -> NDArray[np.float32]:
    image = Image.new("L", (size * _SUPERSAMPLING, size * _SUPERSAMPLING))
    shape(ImageDraw.Draw(image))
    small = image.resize((size, size), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / np.float32(255)
