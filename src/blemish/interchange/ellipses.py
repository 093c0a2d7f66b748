"""Ellipses as outlines of many corners."""

from __future__ import annotations

import numpy as np

from blemish.interchange.regions import Points

CORNERS = 180
"""Of the outline; at a radius of 1,000 pixels it is off by a sixth of a pixel."""


def ellipse_outline(
    center: tuple[float, float], radii: tuple[float, float], *, degrees: float = 0.0
) -> Points:
    """Return the (n, 2) outline of an ellipse, turned clockwise on the screen by some degrees."""
    angles = np.linspace(0.0, 2 * np.pi, CORNERS, endpoint=False)
    upright = np.stack([radii[0] * np.cos(angles), radii[1] * np.sin(angles)], axis=1)
    return turned_points(upright, degrees) + center


def turned_points(points: Points, degrees: float) -> Points:
    """Return points turned around the origin, clockwise on the screen."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(points @ np.array([[cosine, sine], [-sine, cosine]]), dtype=np.float64)
