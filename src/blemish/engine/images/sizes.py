"""The size of an image: its limits, and the rule that the images of a detector have one size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from blemish.domain.limits import Limits
from blemish.engine.images.formats import ImageError
from blemish.engine.images.orientation import turn_size


@dataclass(frozen=True)
class ImageLimits:
    """How large an image may be, in pixels."""

    min_side: int
    max_side: int
    max_pixels: int

    @classmethod
    def of(cls, limits: Limits) -> Self:
        """Return the limits of the service that concern images."""
        return cls(
            min_side=limits.image_min_side,
            max_side=limits.image_max_side,
            max_pixels=limits.image_max_pixels,
        )

    def check(self, size: tuple[int, int]) -> None:
        """Refuse an image of a (width, height) beyond these limits.

        Raises:
            ImageError: names the size and the limits.
        """
        width, height = size
        if (
            min(size) < self.min_side
            or max(size) > self.max_side
            or width * height > self.max_pixels
        ):
            raise ImageError(
                f"The image has {pixel_size(size)} pixels; each side must be {self.min_side:,} to "
                f"{self.max_side:,} pixels, and both together at most {self.max_pixels:,}."
            )


@dataclass(frozen=True, kw_only=True, order=True)
class ImageSize:
    """(width, height) in pixels, before and after the EXIF turn."""

    stored: tuple[int, int]
    upright: tuple[int, int]

    @classmethod
    def of(cls, stored: tuple[int, int], *, orientation: int) -> ImageSize:
        """Return the size of an image that is stored with an EXIF orientation, 1 to 8."""
        return cls(stored=stored, upright=turn_size(stored, orientation))

    def __str__(self) -> str:
        text = f"{pixel_size(self.stored)} pixels"
        return (
            text if self.stored == self.upright else f"{text} ({pixel_size(self.upright)} upright)"
        )


def pixel_size(size: tuple[int, int]) -> str:
    """Return a (width, height) for people: 1,600 x 1,200."""
    return f"{size[0]:,} x {size[1]:,}"


def common_size(sizes: Sequence[ImageSize]) -> ImageSize:
    """Return the most common of some sizes, the smallest if there are several."""
    counts = Counter(sizes)
    return min(counts, key=lambda size: (-counts[size], size))


def check_size(size: ImageSize, *, expected: ImageSize) -> None:
    """Refuse an image that has neither the stored nor the upright size of the others.

    Raises:
        ImageError: names both sizes.
    """
    if size.stored != expected.stored and size.upright != expected.upright:
        raise ImageError(f"The image has {size}; it must have {expected}, as most training images.")
