"""The size of an image, and the rule that the images of a detector have one size."""

from __future__ import annotations

from dataclasses import dataclass

from blemish.engine.images.decode import ImageError

_FIRST_SIDEWAYS = 5  # EXIF orientations from here on swap width and height


@dataclass(frozen=True, kw_only=True, order=True)
class ImageSize:
    """(width, height) in pixels, before and after the EXIF turn."""

    stored: tuple[int, int]
    upright: tuple[int, int]

    @classmethod
    def of(cls, stored: tuple[int, int], *, orientation: int) -> ImageSize:
        """Return the size of an image that is stored with an EXIF orientation, 1 to 8."""
        width, height = stored
        upright = (height, width) if orientation >= _FIRST_SIDEWAYS else stored
        return cls(stored=stored, upright=upright)

    def __str__(self) -> str:
        text = "{:,} x {:,} pixels".format(*self.stored)
        turned = " ({:,} x {:,} upright)".format(*self.upright)
        return text if self.stored == self.upright else text + turned


def check_size(size: ImageSize, *, expected: ImageSize) -> None:
    """Refuse an image that has neither the stored nor the upright size of the others.

    Raises:
        ImageError: names both sizes.
    """
    if size.stored != expected.stored and size.upright != expected.upright:
        raise ImageError(f"The image has {size}; it must have {expected}, as most training images.")
