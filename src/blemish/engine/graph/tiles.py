"""Tiles: how a graph computes the feature maps of a large image part by part.

Memory then depends on a tile instead of the image. Tiles overlap, and of each only what lies far
from its border is used, so that the joined feature maps have no seams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

LARGEST_WHOLE = 1_024
"""Pixels of a side up to which an image is one tile."""

TILE, OVERLAP = 640, 128
"""Sides of a tile and of what two neighbours share, in pixels. Half of the overlap, 64 pixels, is
more than the wavelets of the scattering see around a patch."""


@dataclass(frozen=True, kw_only=True)
class TiledSide:
    """The tiles along one side of an image, all of one length."""

    length: int
    #: first pixel of each tile
    starts: Sequence[int]
    #: pixels of the image that each tile gives: from, to
    used: Sequence[tuple[int, int]]


def tiled_side(side: int, *, step: int) -> TiledSide:
    """Return the tiles along a side of so many pixels.

    Args:
        side: a multiple of `step`.
        step: tiles begin and end at multiples of this, as do the parts that they give.
    """
    if side <= LARGEST_WHOLE:
        return TiledSide(length=side, starts=(0,), used=((0, side),))
    length = TILE // step * step
    stride = (TILE - OVERLAP) // step * step
    starts = [*range(0, side - length, stride), side - length]
    middles = [(last + length + start) // 2 // step * step for last, start in pairwise(starts)]
    bounds = [0, *middles, side]
    return TiledSide(length=length, starts=starts, used=list(pairwise(bounds)))
