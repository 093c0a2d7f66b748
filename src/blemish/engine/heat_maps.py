"""Heat maps: the anomaly map of an image as colours over the image.

The colour shows a score as a share of the threshold, from three quarters of it on. The same colour
means the same score in all images of a model, and an image without colour is clearly normal.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.engine.images.png import PNG_SIGNATURE, png_chunk

HEAT_COLORS = np.array(
    [
        (51, 1, 105),
        (102, 0, 109),
        (151, 3, 101),
        (200, 1, 77),
        (240, 44, 1),
        (240, 119, 4),
        (248, 164, 10),
        (254, 205, 9),
        (248, 249, 13),
    ],
    dtype=np.float64,
)
"""From violet over red to yellow. Their lightness rises evenly from 0.28 to 0.95 (Source: Ottosson,
"A perceptual color space for image processing", 2020), so that equal steps look equal."""

COLDEST = 0.75
"""Score, as a share of the threshold, from which on heat is shown."""

MOST_COVER = 0.85
"""Share of the colour over the image where it is hottest."""

_LEVELS = np.linspace(0, 1, 256)


def heat_palette() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the colour (256, 3) and the alpha (256,) of each level of heat; 0 is transparent."""
    positions = np.linspace(0, 1, len(HEAT_COLORS))
    colors = np.stack([np.interp(_LEVELS, positions, channel) for channel in HEAT_COLORS.T], axis=1)
    alphas = 255 * MOST_COVER * _LEVELS**0.75
    return np.rint(colors).astype(np.uint8), np.rint(alphas).astype(np.uint8)


def heat_levels(
    anomaly_map: NDArray[np.float32], *, threshold: float, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return levels of heat.

    Args:
        anomaly_map: (h, w), upsampled bilinearly.
        threshold: in the unit of the map, not negative.
        size: (W, H) of the result.

    Returns:
        (H, W), 0 to 255.
    """
    shares = anomaly_map / max(threshold, float(np.finfo(np.float32).tiny)) - COLDEST
    levels = np.rint(255 * np.clip(shares, 0, 1)).astype(np.uint8)
    return np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BILINEAR))


def encode_heat_map(
    anomaly_map: NDArray[np.float32], *, threshold: float, size: tuple[int, int]
) -> bytes:
    """Draw a heat map as a transparent PNG with a palette.

    Each row is stored as its difference to the row above: of upsampled patches little remains, so
    the heat map of the largest image fits into the 5 MiB of a response.

    Args:
        anomaly_map: (h, w), in the orientation of the stored image.
        threshold: in the unit of the map, not negative.
        size: (width, height) of the stored image.

    Source: PNG specification, sections 9 (filter "up") and 11.
    """
    levels = heat_levels(anomaly_map, threshold=threshold, size=size)
    width, height = size
    rows = np.empty((height, 1 + width), dtype=np.uint8)
    rows[:, 0] = 2  # the filter "up"
    rows[0, 1:] = levels[0]
    np.subtract(levels[1:], levels[:-1], out=rows[1:, 1:])
    packer = zlib.compressobj(strategy=zlib.Z_RLE)
    colors, alphas = heat_palette()
    return b"".join(
        [
            PNG_SIGNATURE,
            png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),  # palette
            png_chunk(b"PLTE", colors.tobytes()),
            png_chunk(b"tRNS", alphas.tobytes()),
            png_chunk(b"IDAT", packer.compress(rows.data) + packer.flush()),
            png_chunk(b"IEND", b""),
        ]
    )
