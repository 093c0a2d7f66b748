"""What all readers of image files share: the names of the formats, the header, the error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"


class ImageError(ValueError):
    """An image or mask that cannot be used; the message may be shown to a caller."""


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """What an image file says about itself before a pixel is decoded."""

    media_type: str
    size: tuple[int, int]  # (width, height) as stored
    orientation: int  # EXIF, 1 to 8; 1 where the file does not say
    pixel_data: bytes  # the file without the parts that carry no pixels
