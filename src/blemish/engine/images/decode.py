"""Image files in, upright 8-bit RGB out: the only decoder, for training, hosting and the edge.

A detector learns from images and judges images that come through the same function. It needs numpy
and Pillow alone.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from blemish.engine.images.formats import BMP, JPEG, PNG, TIFF, WEBP, ImageError, ImageHeader
from blemish.engine.images.headers import media_type, read_image_header
from blemish.engine.images.orientation import turn, turn_size
from blemish.engine.images.png import deep_png_samples
from blemish.engine.images.resize import resized
from blemish.engine.images.samples import to_8_bits, used_bits
from blemish.engine.images.sizes import ImageLimits
from blemish.engine.images.tiff import tiff_samples

__all__ = ["DecodedImage", "ImageError", "ImageLimits", "decode", "load_pixels", "media_type"]

# What the decoders raise over damaged data, found by fuzzing them.
_DECODING_ERRORS = (OSError, SyntaxError, ValueError, struct.error)

# Called by name: `Image.open` would try more formats, and warn or raise by a limit of its own.
_DECODERS: Mapping[str, Callable[[io.BytesIO], ImageFile]] = {
    JPEG: JpegImageFile,
    PNG: PngImageFile,
    BMP: BmpImageFile,
    WEBP: WebPImageFile,
}


@dataclass(frozen=True, kw_only=True)
class DecodedImage:
    """A decoded image."""

    pixels: NDArray[np.uint8]  # (H, W, 3) RGB, upright; of the whole image, or smaller
    stored_size: tuple[int, int]  # (width, height) as stored, before the EXIF turn
    orientation: int  # EXIF, 1 to 8
    used_bits: int | None = None  # of its samples, 8 to 16; None for an image of 8 bits

    @property
    def upright_size(self) -> tuple[int, int]:
        """(width, height) of the whole image after the EXIF turn."""
        return turn_size(self.stored_size, self.orientation)


def decode(
    data: bytes,
    *,
    limits: ImageLimits,
    at_least: tuple[int, int] | None = None,
    sample_bits: int | None = None,
    resize_to: tuple[int, int] | None = None,
) -> DecodedImage:
    """Decode an image file of any accepted format to upright 8-bit RGB.

    Every mode is accepted: samples of 16 bits are mapped to 8 by their range, CMYK is converted by
    plain subtraction, an alpha channel is dropped (the colours below it stay as they are stored),
    and of several images in a file the first is read. Colour profiles are not applied.

    Args:
        data: the file.
        limits: how large the image may be.
        at_least: (width, height) upright. A JPEG is decoded at 1/8, 1/4 or 1/2 of its size, the
            smallest at which it is still at least this large. The pixels differ from those of a
            full decode and a resize, so training and detection must pass the same.
        sample_bits: the range of samples of 16 bits, 8 to 16; None for the range of this image.
        resize_to: (width, height) upright. The pixels have this size where that saves two copies of
            the image: `resize` would give the same ones.

    Raises:
        ImageError: the data are no image file, are truncated or corrupt, or the size is not
            within the limits. The size is checked before any pixel is decoded.
    """
    header = read_image_header(data)
    limits.check(header.size)
    return decode_image(header, at_least=at_least, sample_bits=sample_bits, resize_to=resize_to)


def decode_image(
    header: ImageHeader,
    *,
    at_least: tuple[int, int] | None = None,
    sample_bits: int | None = None,
    resize_to: tuple[int, int] | None = None,
) -> DecodedImage:
    """Decode an image whose header was read, and whose size was checked; see `decode`.

    Raises:
        ImageError: the image is truncated or corrupt.
    """
    image_bits = None
    if header.bits == 16:
        samples = _deep_samples(header)
        image_bits = used_bits(samples)
        stored = _as_rgb(to_8_bits(samples, bits=sample_bits or image_bits))
    else:
        if at_least:
            at_least = turn_size(at_least, header.orientation)
        image = load_pixels(header, mode="RGB", at_least=at_least)
        if resize_to and header.orientation == 1:  # else rows and columns would change their order
            image = resized(image, resize_to)
        stored = np.asarray(image)
    return DecodedImage(
        pixels=np.ascontiguousarray(turn(stored, header.orientation)),
        stored_size=header.size,
        orientation=header.orientation,
        used_bits=image_bits,
    )


def load_pixels(
    header: ImageHeader, *, mode: str, at_least: tuple[int, int] | None = None
) -> Image.Image:
    """Decode the pixels and convert them to 8-bit `mode`, as stored; of 16 bits the high byte.

    `at_least` is a (width, height) as stored.

    Raises:
        ImageError: the image is truncated or corrupt.
    """
    if header.media_type == TIFF:
        grey_or_rgb = np.asarray(tiff_samples(header.pixel_data), np.uint8)
        return Image.fromarray(_as_rgb(grey_or_rgb)).convert(mode)
    try:
        decoded = _DECODERS[header.media_type](io.BytesIO(header.pixel_data))
        if decoded.size != header.size:
            raise ImageError("The image is corrupt: its header and its pixels differ in size.")
        decoded.draft(None, at_least)  # only a JPEG gets smaller
        decoded.load()
    except ImageError:
        raise
    except _DECODING_ERRORS as error:
        raise ImageError(f"The image is truncated or corrupt: {error}.") from error
    image: Image.Image = decoded
    if image.mode == "I;16":  # Pillow would clip at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if mode == "RGB":
        image.info.pop("transparency", None)  # Pillow would warn that it is lost
    return image if image.mode == mode else image.convert(mode)  # it would copy


def _deep_samples(header: ImageHeader) -> NDArray[np.uint16]:
    """Return the (H, W, C) samples of an image of 16 bits, as stored."""
    try:
        if header.media_type == TIFF:
            samples: NDArray[np.uint16] = np.asarray(tiff_samples(header.pixel_data), np.uint16)
            return samples
        return deep_png_samples(header.pixel_data)
    except ImageError:
        raise
    except _DECODING_ERRORS as error:
        raise ImageError(f"The image is truncated or corrupt: {error}.") from error


def _as_rgb(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (H, W, 3) of (H, W, 1) grey or (H, W, 3) RGB."""
    return np.repeat(samples, 3, axis=2) if samples.shape[2] == 1 else samples
