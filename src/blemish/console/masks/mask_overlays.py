"""Masks as small transparent images, which lie on the thumbnails of their images."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.engine.images.orientation import turn
from blemish.service.datasets.thumbnail_drawing import SIDE

_OPAQUE = 255


def overlay_png(
    pixels: NDArray[np.uint8], colors: Mapping[int, str], *, orientation: int, side: int = SIDE
) -> bytes:
    """Draw a mask as a PNG, of the size of a thumbnail or larger; a small mark stays visible.

    Args:
        pixels: (H, W) of the stored image; 0 where nothing is painted.
        colors: index of a painted pixel -> "#RRGGBB".
        orientation: EXIF orientation of the image.
        side: the longest side of the PNG.
    """
    upright = turn(pixels, orientation)
    step = max(1, -(-max(upright.shape) // side))
    height, width = (-(-side // step) for side in upright.shape)
    padded = np.zeros((height * step, width * step), dtype=np.uint8)
    padded[: upright.shape[0], : upright.shape[1]] = upright
    small = padded.reshape(height, step, width, step).max(axis=(1, 3))
    palette = np.zeros((_OPAQUE + 1, 4), dtype=np.uint8)
    for index, color in colors.items():
        palette[index] = [*bytes.fromhex(color[1:]), _OPAQUE]
    output = io.BytesIO()
    Image.fromarray(palette[small]).save(output, "PNG")
    return output.getvalue()
