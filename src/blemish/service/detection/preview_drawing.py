"""Draws what a model says of an image: a heat map and a mask that lie over the upright image."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.engine.heat_maps import encode_heat_map
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.orientation import turn
from blemish.engine.images.sizes import ImageLimits
from blemish.engine.runtime import Detection, Detector
from blemish.service.detection.previews import Preview

SIDE = 1024
"""Pixels of the longer side of what is drawn; on a screen it lies over an image."""

MASK_COVER = 200
"""Alpha of an anomaly in a mask, of 255."""


def draw_preview(detector: Detector, data: bytes, *, limits: ImageLimits) -> Preview:
    """Detect anomalies in an encoded image, and draw the result.

    Raises:
        ImageError: it is no image.
    """
    detection = detector.detect(data, limits=limits, mixed_sizes=True)
    orientation = read_image_header(data).orientation
    anomaly_map = np.ascontiguousarray(turn(detection.anomaly_map, orientation))
    width, height = detection.stored_size
    if orientation > 4:  # it lies on its side as it is stored
        width, height = height, width
    share = min(1.0, SIDE / max(width, height))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return Preview(
        score=detection.score,
        is_anomalous=detection.is_anomalous,
        confidence=detection.confidence,
        heat_map=encode_heat_map(anomaly_map, threshold=detection.threshold, size=size),
        mask=_mask(detection, orientation, size),
    )


def _mask(detection: Detection, orientation: int, size: tuple[int, int]) -> bytes | None:
    if detection.mask is None:
        return None
    upright: NDArray[np.uint8] = np.ascontiguousarray(turn(detection.mask, orientation))
    drawn = Image.fromarray(upright).resize(size, Image.Resampling.NEAREST)
    drawn.putpalette(bytes.fromhex("".join(color[1:] for color in detection.colors)))
    alphas = bytes([0, *[MASK_COVER] * (len(detection.colors) - 1)])
    output = io.BytesIO()
    drawn.save(output, "PNG", transparency=alphas)
    return output.getvalue()
