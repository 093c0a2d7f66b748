"""The header of an image file, read without decoding a pixel.

A file is read by its length fields alone: nothing is decompressed, and nothing is allocated that is
larger than the file. The header holds a copy of the file with only the parts that carry pixels, so
that text, colour profiles, thumbnails, animations and further images never get to a decoder.
"""

from __future__ import annotations

from blemish.engine.images.bmp import read_bmp_header
from blemish.engine.images.formats import (
    BMP,
    JPEG,
    PNG,
    TIFF,
    WEBP,
    ImageError,
    ImageHeader,
    media_type,
    unknown_format,
)
from blemish.engine.images.jpeg import read_jpeg_header
from blemish.engine.images.png import read_png_header
from blemish.engine.images.tiff import read_tiff_header
from blemish.engine.images.webp import read_webp_header

__all__ = ["ImageError", "ImageHeader", "media_type", "read_image_header"]

_READERS = {
    JPEG: read_jpeg_header,
    PNG: read_png_header,
    TIFF: read_tiff_header,
    BMP: read_bmp_header,
    WEBP: read_webp_header,
}


def read_image_header(data: bytes) -> ImageHeader:
    """Read the header of an image file of any accepted format.

    Raises:
        ImageError: the data are empty, of another format, cut off, or damaged where it shows
            without decoding.
    """
    reader = _READERS.get(media_type(data) or "")
    if reader is None:
        raise unknown_format(data)
    return reader(data)
