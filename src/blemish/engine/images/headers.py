"""The header of an image file, read without decoding a pixel.

A file is read by its length fields alone: nothing is decompressed, and nothing is allocated that is
larger than the file. The header holds a copy of the file with only the parts that carry pixels, so
that text, colour profiles, thumbnails, animations and further images never get to a decoder.
"""

from __future__ import annotations

from blemish.engine.images.formats import JPEG, PNG, ImageError, ImageHeader
from blemish.engine.images.jpeg import JPEG_START, read_jpeg_header
from blemish.engine.images.png import PNG_SIGNATURE, read_png_header

__all__ = ["ImageError", "ImageHeader", "media_type", "read_image_header"]


def media_type(data: bytes) -> str | None:
    """Return `image/jpeg` or `image/png` by the first bytes; None if they are neither."""
    if data.startswith(PNG_SIGNATURE):
        return PNG
    return JPEG if data.startswith(JPEG_START + b"\xff") else None


def read_image_header(data: bytes) -> ImageHeader:
    """Read the header of a JPEG or PNG file.

    Raises:
        ImageError: the data are empty, neither JPEG nor PNG, cut off, or damaged where it shows
            without decoding.
    """
    match media_type(data):
        case "image/png":
            return read_png_header(data)
        case "image/jpeg":
            return read_jpeg_header(data)
        case _ if not data:
            raise ImageError("The image is empty; it must be a JPEG or PNG file.")
        case _:
            raise ImageError(
                f"The image begins with the bytes {data[:8].hex(' ')}; it must be a JPEG or PNG "
                "file."
            )
