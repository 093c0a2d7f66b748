"""Values of files that other tools write, checked; every error names the value.

All functions raise ValueError; the message is a sentence without the file's name.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from blemish.domain.color_maps import short_json
from blemish.interchange.regions import MAX_POINTS, Points

MAX_NUMBER = 1e18
"""Of a position or a count; a larger one would overflow."""


def mapping(value: object, what: str) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be an object, not {short_json(value)}")
    return value


def listing(value: object, what: str) -> list[Any]:
    """Return a JSON list."""
    if not isinstance(value, list):
        raise ValueError(f"{what} must be a list, not {short_json(value)}")
    return value


def word(value: object, what: str) -> str:
    """Return a text that is not empty, without spaces around it."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{what} must be a text, not {short_json(value)}")
    return value.strip()


def number(value: object, what: str) -> float:
    """Return a finite number, also one that is written as a text."""
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        try:
            result = float(value)
        except (ValueError, OverflowError):
            result = math.nan
        if abs(result) <= MAX_NUMBER:
            return result
    raise ValueError(f"{what} must be a number, not {short_json(value)}")


def whole(value: object, what: str) -> int:
    """Return a whole number, also one that is written as a text."""
    result = number(value, what)
    if not result.is_integer():
        raise ValueError(f"{what} must be a whole number, not {short_json(value)}")
    return int(result)


def identity(value: object, what: str) -> int | str:
    """Return a number or a text by which a file refers to something."""
    if not isinstance(value, int | str):
        raise ValueError(f"{what} must be a number or a text, not {short_json(value)}")
    return value


def image_size(width: object, height: object) -> tuple[int, int]:
    """Return the (width, height) of an image."""
    size = whole(width, "the width"), whole(height, "the height")
    if min(size) < 1:
        raise ValueError(f"the image has {size[0]} x {size[1]} pixels")
    return size


def outline(values: object, what: str) -> Points:
    """Return the (n, 2) points of a list of pairs, or of a flat list: x, y, x, y."""
    numbers = listing(values, what)
    if len(numbers) > 2 * MAX_POINTS:
        raise ValueError(f"{what} has {len(numbers):,} values; at most {2 * MAX_POINTS:,} are read")
    try:
        points = np.array(numbers, dtype=np.float64).reshape(-1, 2)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"{what} must be pairs of numbers, not {short_json(numbers)}") from None
    if len(points) < 3:
        raise ValueError(f"{what} has {len(points)} points; a polygon has 3 or more")
    if not np.isfinite(points).all():
        raise ValueError(f"{what} must be finite numbers, not {short_json(numbers)}")
    return points
