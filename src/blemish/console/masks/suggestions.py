"""A mask that a model suggests for an image: of its segmentation head, or of its heat map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.engine.heat_maps import COLDEST
from blemish.engine.runtime import Detection

SHARE_OF_PEAK = 0.7
"""Share of the highest heat in the image from which on the map suggests paint.

Of .5, .6 and .7, without a floor, the last overlapped most with the real masks of three sets of
images (IoU .24 of cookies, .44 of paper, .14 of magnetic tiles). That is low: a suggestion is where
a person starts to paint."""

ANY_TYPE = ("", "")
"""Colour and name of what a heat map shows, which knows no anomaly types."""


@dataclass(frozen=True, kw_only=True)
class SuggestedMask:
    """What a model would paint."""

    #: (H, W) of the stored image, 0 where nothing is suggested
    pixels: NDArray[np.uint8]
    #: index -> ("#RRGGBB", name), or `ANY_TYPE`
    types: Mapping[int, tuple[str, str]]


def suggested_mask(detection: Detection) -> SuggestedMask:
    """Return the mask that a detection suggests; of the heat map if the model marks no type."""
    names = {area.color: area.name for area in detection.anomalies or ()}
    mask = detection.mask
    if mask is not None and mask.any():
        used = [int(index) for index in np.unique(mask) if index]
        colors = detection.colors
        return SuggestedMask(
            pixels=mask, types={index: (colors[index], names[colors[index]]) for index in used}
        )
    peak = float(detection.anomaly_map.max())
    level = max(COLDEST * detection.threshold, SHARE_OF_PEAK * peak)
    stored_size = Image.fromarray(np.ascontiguousarray(detection.anomaly_map)).resize(
        detection.stored_size, Image.Resampling.BILINEAR
    )
    pixels = (np.asarray(stored_size) >= level).astype(np.uint8)
    return SuggestedMask(pixels=pixels, types={1: ANY_TYPE} if pixels.any() else {})
