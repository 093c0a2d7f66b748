"""The EXIF orientation of images: from as stored to upright, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # a server reads sizes before it needs any pixel
    import numpy as np
    from numpy.typing import NDArray

_Item = TypeVar("_Item", bound="np.generic")

# EXIF orientation -> (swap rows and columns, then reverse rows, reverse columns).
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def turn(array: NDArray[_Item], orientation: int) -> NDArray[_Item]:
    """Turn an (H, W, ...) array from as stored to upright; a view.

    Source: Exif 2.32, section 4.6.4, tag 274.
    """
    swap, rows, columns = _TURNS[orientation]
    turned = array.swapaxes(0, 1) if swap else array
    return _reverse(turned, rows=rows, columns=columns)


def turn_back(array: NDArray[_Item], orientation: int) -> NDArray[_Item]:
    """Turn an (H, W, ...) array from upright to as stored; a view, the inverse of `turn`."""
    swap, rows, columns = _TURNS[orientation]
    turned = _reverse(array, rows=rows, columns=columns)
    return turned.swapaxes(0, 1) if swap else turned


def turn_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return a (width, height) upright, given as stored, or the reverse."""
    return size[::-1] if _TURNS[orientation][0] else size


def _reverse(array: NDArray[_Item], *, rows: bool, columns: bool) -> NDArray[_Item]:
    return array[:: -1 if rows else 1, :: -1 if columns else 1]
