"""Region masks: which pixels of the images of a product count, and which patches.

Pixels that are ignored get the mean colour of the others before the backbone sees them, so that
what they show has no effect at all: not on the patches around them either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.domain.regions import RegionKind
from blemish.engine.images.decode import load_pixels
from blemish.engine.images.formats import PNG, ImageError
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.orientation import turn
from blemish.engine.images.resize import resize_nearest
from blemish.engine.images.sizes import pixel_size

MIN_INSPECTED = 0.5
"""Share of a patch that must count for the patch to be inspected."""

_LEAST_WEIGHT = 1e-6
"""A pixel of the graph's image is ignored if ignored pixels have this weight in it."""


@dataclass(frozen=True, kw_only=True)
class InspectedArea:
    """What counts in the image that a graph sees."""

    #: (height, width), upright
    pixels: NDArray[np.bool_]
    #: (n,)
    patches: NDArray[np.bool_]

    def filled(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return (height, width, 3) pixels, with the mean of the inspected ones elsewhere."""
        count = int(self.pixels.sum())
        sums = pixels[self.pixels].sum(axis=0, dtype=np.int64)
        mean = ((sums + count // 2) // count).astype(np.uint8)
        return np.where(self.pixels[..., np.newaxis], pixels, mean)


@dataclass(frozen=True, kw_only=True)
class Regions:
    """A decoded region mask."""

    #: (H, W) whether a pixel of the stored image counts
    inspected: NDArray[np.bool_]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the mask."""
        height, width = self.inspected.shape
        return width, height

    def at(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return which pixels (H, W) of a stored image of this (width, height) count."""
        scaled = resize_nearest(self.inspected.astype(np.uint8), width=size[0], height=size[1])
        return scaled.astype(np.bool_)

    def area(
        self, *, orientation: int, size: tuple[int, int], grid: tuple[int, int]
    ) -> InspectedArea:
        """Return what counts in a graph's image of this (width, height) and (h, w) of patches.

        Raises:
            ImageError: nothing counts.
        """
        ignored = np.ascontiguousarray(turn(~self.inspected, orientation)).astype(np.float32)
        weights = Image.fromarray(ignored).resize(size, Image.Resampling.BILINEAR)
        pixels = np.asarray(weights) < _LEAST_WEIGHT
        h, w = grid
        shares = Image.fromarray(pixels.astype(np.float32)).resize((w, h), Image.Resampling.BOX)
        patches = np.asarray(shares).ravel() >= MIN_INSPECTED
        if not patches.any():
            raise ImageError("The region mask leaves nothing to judge: too little of it counts.")
        return InspectedArea(pixels=pixels, patches=patches)


def decode_regions(data: bytes, kind: RegionKind) -> Regions:
    """Decode a region mask: every pixel that is neither white nor mostly transparent is painted.

    Raises:
        ImageError: no whole PNG, or it leaves nothing out, or it leaves nothing to judge.
    """
    header = read_image_header(data)
    if header.media_type != PNG:
        raise ImageError("The region mask must be a PNG image.")
    rgba = np.asarray(load_pixels(header, mode="RGBA"))
    painted = (rgba[..., 3] >= 128) & (rgba[..., :3] != 255).any(axis=-1)
    if not painted.any():
        raise ImageError(
            "The region mask has no painted pixel: all of them are white or transparent. Paint the "
            "region in any other colour."
        )
    inspected = painted if kind is RegionKind.OF_INTEREST else ~painted
    if not inspected.any():
        raise ImageError("The region mask ignores the whole image.")
    if inspected.all():
        raise ImageError("The region mask ignores no pixel: the region of interest is everything.")
    return Regions(inspected=inspected)


def check_aspect(size: tuple[int, int], *, mask: tuple[int, int]) -> None:
    """Check that a mask can be scaled to an image; both sizes are (width, height).

    Raises:
        ImageError: their sides are in another proportion, by more than a pixel.
    """
    (width, height), (mask_width, mask_height) = size, mask
    if abs(width * mask_height - height * mask_width) > max(mask_width, mask_height):
        raise ImageError(
            f"The image has {pixel_size(size)} pixels, the region mask of the model "
            f"{pixel_size(mask)}; their sides must be in the same proportion."
        )
