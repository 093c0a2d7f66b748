"""Drawn marks: small bright or dark ellipses on normal images.

They show how small a defect a backbone notices at some resolution, without any labelled anomaly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CONTRAST = 56
"""Levels of 255 by which a mark differs from its surroundings."""

NARROW = 5
"""Every other mark is a line that is so many times as long as wide."""

MARGIN = 0.15
"""Share of each side, at both ends, on which no mark begins: products are in the middle. Regions
say where they are, so that marks in regions have no margin."""


def with_mark(
    pixels: NDArray[np.uint8],
    length: int,
    *,
    narrow: bool,
    generator: np.random.Generator,
    inspected: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Return a copy of an image (H, W, 3) with one mark, whose longest side has `length` pixels.

    Args:
        pixels: the image.
        length: of the mark, in pixels.
        narrow: whether the mark is a line.
        generator: of position and angle.
        inspected: (H, W) where the image counts, and nothing else is marked; None for everywhere.
    """
    if inspected is None:
        top, left = (_start(side, length, generator) for side in pixels.shape[:2])
    else:
        top, left = _start_inspected(inspected, length, generator)
    result = pixels.copy()
    part = result[top : top + length, left : left + length]
    middle, angle = length / 2 - 0.5, generator.uniform(0, np.pi)
    y, x = np.mgrid[: part.shape[0], : part.shape[1]].astype(np.float32) - middle
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    radius = length / 2
    distance = np.hypot(along, across * (NARROW if narrow else 1))
    cover = np.clip(radius - distance, 0, 1)[:, :, np.newaxis]  # soft by one pixel
    if inspected is not None:
        cover *= inspected[top : top + length, left : left + length, np.newaxis]
    contrast = CONTRAST if part.mean() < 128 else -CONTRAST
    part[:] = np.clip(np.rint(part + cover * contrast), 0, 255).astype(np.uint8)
    return result


def _start(side: int, length: int, generator: np.random.Generator) -> int:
    margin = int(MARGIN * side)
    return int(generator.integers(margin, max(margin + 1, side - margin - length)))


def _start_inspected(
    inspected: NDArray[np.bool_], length: int, generator: np.random.Generator
) -> tuple[int, int]:
    """Return the top and left of a square in which as many pixels count as in any other."""
    height, width = (min(length, side) for side in inspected.shape)
    sums = np.pad(inspected.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    counts = (sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]) + sums[
        :-height, :-width
    ]
    starts = np.flatnonzero(counts == counts.max())
    top, left = np.unravel_index(generator.choice(starts), counts.shape)
    return int(top), int(left)
