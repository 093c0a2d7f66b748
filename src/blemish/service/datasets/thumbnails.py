"""Thumbnails of images: made once, kept as files, and made anew if those are gone."""

from __future__ import annotations

import hashlib
import io
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from PIL import Image

from blemish.domain.entities import ObjectRef
from blemish.engine.images.decode import ImageLimits, decode
from blemish.engine.images.formats import PNG, TIFF
from blemish.engine.images.headers import read_image_header
from blemish.service.objects import Objects

SIDE = 256
"""Pixels of the longer side."""

QUALITY = 82
"""Of JPEG: at this size nobody sees what is lost."""

ANY_SIZE = ImageLimits(min_side=1, max_side=65_535, max_pixels=200_000_000)
"""What is too large for a detector can be looked at all the same."""


class Thumbnails:
    """The thumbnails of the images in the buckets."""

    def __init__(self, folder: Path, *, staging: Path, objects: Objects, max_bytes: int) -> None:
        self._folder = folder
        self._staging = staging
        self._objects = objects
        #: of an image's file
        self._max_bytes = max_bytes

    def of(self, ref: ObjectRef) -> bytes:
        """Return the thumbnail of an image, upright, as JPEG.

        Raises:
            ObjectError: there is no such object, or it cannot be read.
            ImageError: it is no image.
        """
        size_bytes = self._objects.size(ref)
        name = hashlib.sha256(f"{ref}\n{size_bytes}".encode()).hexdigest()
        path = self._folder / name[:2] / f"{name}.jpg"
        try:
            return path.read_bytes()
        except FileNotFoundError:
            pass
        thumbnail = draw_thumbnail(self._objects.read(ref, max_bytes=self._max_bytes))
        with suppress(OSError):  # on a full disk it is shown, and drawn again the next time
            self._keep(path, thumbnail)
        return thumbnail

    def _keep(self, path: Path, thumbnail: bytes) -> None:
        """Write a file that is there whole or not at all; after a power cut it may be gone."""
        path.parent.mkdir(mode=0o700, exist_ok=True)
        aside = self._staging / uuid4().hex
        try:
            aside.write_bytes(thumbnail)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def browser_image(data: bytes) -> tuple[bytes, str]:
    """Return an image that browsers show, and its media type.

    Browsers show no TIFF, and samples of 10 or 12 bits in a 16-bit PNG as black: both become PNG of
    8 bits, upright.

    Raises:
        ImageError: it is no image.
    """
    header = read_image_header(data)
    if header.media_type != TIFF and header.bits == 8:
        return data, header.media_type
    output = io.BytesIO()
    Image.fromarray(decode(data, limits=ANY_SIZE).pixels).save(output, "PNG", compress_level=1)
    return output.getvalue(), PNG


def draw_thumbnail(data: bytes) -> bytes:
    """Draw the thumbnail of an image file.

    Raises:
        ImageError: it is none.
    """
    image = Image.fromarray(decode(data, limits=ANY_SIZE, at_least=(SIDE, SIDE)).pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    output = io.BytesIO()
    image.save(output, "JPEG", quality=QUALITY)
    return output.getvalue()
