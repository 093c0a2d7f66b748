"""The newest judged image, as the page draws it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.engine.heat_maps import encode_heat_map
from blemish.engine.images.decode import ImageLimits, decode
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.orientation import turn
from blemish.station.verdict import Verdict

LONGEST_SIDE = 1_280
"""Pixels of the drawn image: what a screen at the line shows."""

LIMITS = ImageLimits(min_side=1, max_side=16_384, max_pixels=16_384 * 16_384)
"""Of images that were judged already."""

JPEG_QUALITY = 85


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownImage:
    """An image and where it looks anomalous; nothing is drawn before the page asks."""

    verdict: Verdict
    #: an image file, or (H, W, 3) RGB of a camera
    content: bytes | NDArray[np.uint8]
    #: (h, w), in the orientation of the stored image
    anomaly_map: NDArray[np.float32]
    #: of the drawn image, in pixels
    longest_side: int = LONGEST_SIDE

    @cached_property
    def photo(self) -> bytes:
        """The image as a JPEG that browsers show, upright; an ImageError if it is no image."""
        longest = (self.longest_side, self.longest_side)
        if isinstance(self.content, bytes):
            image = Image.fromarray(decode(self.content, limits=LIMITS, at_least=longest).pixels)
        else:
            image = Image.fromarray(self.content)
        image.thumbnail(longest)
        output = io.BytesIO()
        image.save(output, "JPEG", quality=JPEG_QUALITY)
        return output.getvalue()

    @cached_property
    def heat_map(self) -> bytes:
        """A transparent PNG of the photo's size; an ImageError if it is no image."""
        orientation = 1
        if isinstance(self.content, bytes):
            orientation = read_image_header(self.content).orientation
        return encode_heat_map(
            np.ascontiguousarray(turn(self.anomaly_map, orientation)),
            threshold=max(self.verdict.threshold, 0),
            size=read_image_header(self.photo).size,
        )
