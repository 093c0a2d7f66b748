"""Image files in, upright 8-bit RGB out: the only decoder, for training, hosting and the edge.

A detector learns from images and judges images that come through the same function. It needs numpy
and Pillow alone.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from blemish.engine.images.formats import PNG, ImageError, ImageHeader
from blemish.engine.images.headers import media_type, read_image_header
from blemish.engine.images.orientation import turn, turn_size
from blemish.engine.images.sizes import ImageLimits

__all__ = ["DecodedImage", "ImageError", "ImageLimits", "decode", "load_pixels", "media_type"]

# What Pillow's two decoders raise over damaged data, found by fuzzing them.
_DECODING_ERRORS = (OSError, SyntaxError, ValueError)


@dataclass(frozen=True, kw_only=True)
class DecodedImage:
    """A decoded image."""

    pixels: NDArray[np.uint8]  # (H, W, 3) RGB, upright; smaller where it was decoded reduced
    stored_size: tuple[int, int]  # (width, height) as stored, before the EXIF turn
    orientation: int  # EXIF, 1 to 8

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) of the whole image after the EXIF turn."""
        return turn_size(self.stored_size, self.orientation)


def decode(
    data: bytes, *, limits: ImageLimits, at_least: tuple[int, int] | None = None
) -> DecodedImage:
    """Decode a JPEG or PNG file to upright 8-bit RGB.

    Every mode is accepted: 16-bit samples are reduced to their high byte, CMYK is converted by
    plain subtraction, an alpha channel is dropped (the colours below it stay as they are stored),
    and an animation is read as its still image. Colour profiles are not applied.

    Args:
        data: the file.
        limits: how large the image may be.
        at_least: (width, height) upright. A JPEG is decoded at 1/8, 1/4 or 1/2 of its size, the
            smallest at which it is still at least this large. The pixels differ from those of a
            full decode and a resize, so training and detection must pass the same.

    Raises:
        ImageError: the data are no JPEG or PNG, are truncated or corrupt, or the size is not
            within the limits. The size is checked before any pixel is decoded.
    """
    header = read_image_header(data)
    limits.check(header.size)
    if at_least:
        at_least = turn_size(at_least, header.orientation)
    stored = np.asarray(load_pixels(header, mode="RGB", at_least=at_least))
    return DecodedImage(
        pixels=np.ascontiguousarray(turn(stored, header.orientation)),
        stored_size=header.size,
        orientation=header.orientation,
    )


def load_pixels(
    header: ImageHeader, *, mode: str, at_least: tuple[int, int] | None = None
) -> Image.Image:
    """Decode the pixels and convert them to 8-bit `mode`, as stored.

    Pillow's decoders are called by name: `Image.open` would try more formats, and warn or raise
    by a limit of its own. `at_least` is a (width, height) as stored.

    Raises:
        ImageError: the image is truncated or corrupt.
    """
    decoder = PngImageFile if header.media_type == PNG else JpegImageFile
    try:
        decoded = decoder(io.BytesIO(header.pixel_data))
        decoded.draft(None, at_least)  # a PNG stays as it is
        decoded.load()
    except _DECODING_ERRORS as error:
        raise ImageError(f"The image is truncated or corrupt: {error}.") from error
    image: Image.Image = decoded
    if image.mode == "I;16":  # Pillow would clip at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if mode == "RGB":
        image.info.pop("transparency", None)  # Pillow would warn that it is lost
    return image if image.mode == mode else image.convert(mode)  # it would copy
