"""Samples of more than 8 bits: their range, and how they become 8 bits.

Cameras of 10, 12 or 14 bits store their samples in 16 bits, scaled up or not. The range of an image
is the number of bits that its samples use; a detector has one range, that of its training images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

FULL_RANGE = 16
"""The range of detectors that were trained on 8-bit images, and of older ones."""

OUTLIERS = 10_000
"""One in so many samples may use more bits: hot pixels do not define the range of an image."""

MIN_HOT_PIXELS = 2
"""As many pixels may use more bits in any image, however small."""

MAX_RANGE_DIFFERENCE = 2
"""Bits by which the ranges of images may differ; more means that they are scaled differently."""


def used_bits(samples: NDArray[np.uint16]) -> int:
    """Return the range of an image (H, W, C): 8 to 16 bits."""
    bits = 16
    outliers = max(samples.size // OUTLIERS, MIN_HOT_PIXELS * samples.shape[-1])
    while bits > 8 and np.count_nonzero(samples >> (bits - 1)) <= outliers:
        bits -= 1
    return bits


def to_8_bits(samples: NDArray[np.uint16], *, bits: int) -> NDArray[np.uint8]:
    """Map a range of `bits` to 0 to 255; brighter samples become 255."""
    shifted = samples >> np.uint16(bits - 8)
    clipped: NDArray[np.uint16] = np.minimum(shifted, np.uint16(255))
    return clipped.astype(np.uint8)


def range_notes(ranges: Iterable[int | None]) -> tuple[str, ...]:
    """Return sentences about the ranges of training images; None stands for an 8-bit image."""
    counts = Counter(bits for bits in ranges if bits is not None)
    if not counts:
        return ()
    most, least = max(counts), min(counts)
    total = counts.total()
    images = "1 training image has" if total == 1 else f"{total:,} training images have"
    uses = "It uses" if total == 1 else "They use"
    notes = [
        f"{images} more than 8 bits per sample. {uses} up to "
        f"{most} bits: values from 0 to {2**most - 1:,} count as black to white."
    ]
    if most - least > MAX_RANGE_DIFFERENCE:
        listed = ", ".join(
            f"{count:,} {'uses' if count == 1 else 'use'} {bits} bits"
            for bits, count in sorted(counts.items())
        )
        notes.append(
            f"Their ranges differ much ({listed}): images that are scaled differently look dark "
            "to the model."
        )
    return tuple(notes)
