"""Resizing images to the size at which a graph sees them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GRAPH_STEP = 32
"""The sides of a graph's images are multiples of this, the total stride of a residual network."""

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)
"""Of RGB values from 0 to 1. Source: torchvision, "Models and pre-trained weights"."""


def resize(pixels: NDArray[np.uint8], *, width: int, height: int) -> NDArray[np.uint8]:
    """Resize (H, W, 3) RGB by Pillow's bilinear filter, which averages when it shrinks.

    The same array comes back if it has the size already.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


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
