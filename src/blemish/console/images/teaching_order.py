"""The order in which labels teach most: images that a model is unsure of and that differ first.

An image is described by its thumbnail, small and in colour. The next image is always the one with
the greatest product of two numbers: how unsure the model is, and how far the image is from all
that have a label or came before.

Source: Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set
Approach", 2018, for the distances; the weight is ours.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 12
"""Pixels of a described image's side."""

LEAST = 0.05
"""Weight of an image that the model is sure of: of those, different ones come first, too."""


def descriptor_of(thumbnail: bytes) -> NDArray[np.uint8]:
    """Return the descriptor of an image, (SIDE * SIDE * 3,), by its thumbnail."""
    with Image.open(io.BytesIO(thumbnail)) as image:
        small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small).reshape(-1)


def teaching_order(
    probabilities: Mapping[str, float],
    descriptors: Mapping[str, NDArray[np.uint8]],
    labelled: Sequence[str],
) -> list[str]:
    """Return images without a label, those first whose labels would teach most.

    Args:
        probabilities: address -> how anomalous a model finds the image, 0 to 1.
        descriptors: address -> descriptor; of the labelled images, too.
        labelled: addresses of images that have a label.
    """
    refs = [ref for ref in probabilities if ref in descriptors]
    if not refs:
        return []
    points = np.stack([descriptors[ref] for ref in refs]).astype(np.float32)
    known = [descriptors[ref].astype(np.float32) for ref in labelled if ref in descriptors]
    values = np.array([probabilities[ref] for ref in refs])
    weights = LEAST + 1 - np.abs(2 * values - 1)
    distances = np.full(len(refs), np.inf, dtype=np.float32)
    for other in known:
        distances = np.minimum(distances, np.linalg.norm(points - other, axis=1))
    order: list[str] = []
    left = np.ones(len(refs), dtype=bool)
    for _ in refs:
        value = np.where(np.isinf(distances), weights, weights * distances)
        row = int(np.argmax(np.where(left, value, -1.0)))
        left[row] = False
        order.append(refs[row])
        distances = np.minimum(distances, np.linalg.norm(points - points[row], axis=1))
    return order
