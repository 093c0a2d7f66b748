from __future__ import annotations

import numpy as np
import pytest

from blemish.interchange.regions import Box, Polygon, Runs, Shape, fill_outline, painted
from tests.unit.interchange.folders import HEIGHT, WIDTH, rectangle

SIZE = (WIDTH, HEIGHT)


def paint(shape: Shape) -> np.ndarray:
    return painted(shape, size=SIZE, read_mask=lambda _: rectangle(0, 0, 1, 1))


def corners(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64)


def test_an_outline_along_the_edges_of_pixels_has_these_pixels() -> None:
    mask = paint(Polygon(rings=[corners(10, 20, 30, 25)]))

    np.testing.assert_array_equal(mask, rectangle(10, 20, 30, 25))


def test_relative_outlines_are_shares_of_the_size() -> None:
    mask = paint(Polygon(rings=[corners(0.25, 0.5, 0.5, 1)], is_relative=True))

    np.testing.assert_array_equal(mask, rectangle(20, 32, 40, 64))


def test_a_hole_that_is_joined_by_a_bridge_stays_a_hole() -> None:
    outer, hole = corners(10, 10, 40, 40), corners(20, 20, 30, 30)
    joined = np.concatenate([outer, outer[:1], hole, hole[:1]])

    mask = paint(Polygon(rings=[joined]))

    np.testing.assert_array_equal(mask, rectangle(10, 10, 40, 40) & ~rectangle(20, 20, 30, 30))


def test_an_outline_thinner_than_a_pixel_has_the_pixels_of_its_points() -> None:
    mask = fill_outline(corners(5.6, 5.6, 5.9, 5.9), SIZE)

    np.testing.assert_array_equal(mask, rectangle(5, 5, 6, 6))


def test_what_is_outside_of_the_image_is_cut_off() -> None:
    mask = paint(Polygon(rings=[corners(-1e9, -1e9, 10, 10)]))

    np.testing.assert_array_equal(mask, rectangle(0, 0, 10, 10))


def test_boxes_have_the_pixels_between_their_edges() -> None:
    np.testing.assert_array_equal(
        paint(Box(left=10, top=20, right=30, bottom=25)), rectangle(10, 20, 30, 25)
    )
    np.testing.assert_array_equal(
        paint(Box(left=3.2, top=4.2, right=3.4, bottom=4.3)), rectangle(3, 4, 4, 5)
    )


def test_runs_of_a_window_are_cut_at_the_image() -> None:
    mask = paint(Runs(counts=[0, 16], window=(-2, 62, 4, 4)))

    np.testing.assert_array_equal(mask, rectangle(0, 62, 2, 64))


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (Polygon(rings=[corners(100, 10, 120, 20)]), "no pixel .* x 100 to 120, y 10 to 20"),
        (Box(left=-9, top=-9, right=-1, bottom=-1), "no pixel .* x -9 to -1, y -9 to -1"),
        (Runs(counts=[0, 10**6], window=(0, 0, 1000, 1000)), "a window of 1,000 x 1,000 pixels"),
    ],
)
def test_shapes_outside_of_the_image_are_refused_with_their_values(shape: Shape, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        paint(shape)
