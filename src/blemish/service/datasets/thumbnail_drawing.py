"""Draws stored images for browsers: small ones as thumbnails, large ones in a format they show."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from blemish.engine.images.decode import decode
from blemish.engine.images.decoding_memory import MEMORY, decoding_bytes
from blemish.engine.images.formats import PNG, TIFF
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.orientation import turn_back
from blemish.engine.images.sizes import ImageLimits

SIDE = 256
"""Pixels of the longer side."""

QUALITY = 82
"""Of JPEG: at this size nobody sees what is lost."""

ORIENTATION = Base.Orientation.value

ANY_SIZE = ImageLimits(min_side=1, max_side=65_535, max_pixels=200_000_000)
"""What is too large for a detector can be looked at all the same."""


def browser_image(data: bytes) -> tuple[bytes, str]:
    """Return an image that browsers show, and its media type.

    Browsers show no TIFF, and samples of 10 or 12 bits in a 16-bit PNG as black: both become PNG of
    8 bits, as stored, with their EXIF orientation.

    Raises:
        ImageError: it is no image.
    """
    header = read_image_header(data)
    if header.media_type != TIFF and header.bits == 8:
        return data, header.media_type
    with MEMORY.taken(decoding_bytes(header)):
        return _as_png(data), PNG


def _as_png(data: bytes) -> bytes:
    image = decode(data, limits=ANY_SIZE)
    stored = np.ascontiguousarray(turn_back(image.pixels, image.orientation))
    exif = Image.Exif()
    exif[ORIENTATION] = image.orientation
    output = io.BytesIO()
    Image.fromarray(stored).save(output, "PNG", compress_level=1, exif=exif)
    return output.getvalue()


def draw_thumbnail(data: bytes) -> bytes:
    """Draw the thumbnail of an image file.

    Raises:
        ImageError: it is none.
    """
    header, at_least = read_image_header(data), (SIDE, SIDE)
    with MEMORY.taken(decoding_bytes(header, at_least=at_least)):
        image = Image.fromarray(decode(data, limits=ANY_SIZE, at_least=at_least).pixels)
        image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    output = io.BytesIO()
    image.save(output, "JPEG", quality=QUALITY)
    return output.getvalue()
