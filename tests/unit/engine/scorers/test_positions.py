import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from blemish.engine.scorers.positions import (
    MIN_ALIGNMENT,
    alignment,
    border_weights,
    position_scales,
)

GRID = (6, 8)
PATCHES = GRID[0] * GRID[1]


def maps(images: int, scale: NDArray[np.float64], *, seed: int = 0) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).uniform(0.8, 1.2, (images, PATCHES))
    return (noise * scale).astype(np.float32)


def edge() -> NDArray[np.float64]:
    """Return scales that are three times as high in the left half."""
    columns = np.arange(PATCHES) % GRID[1]
    return np.where(columns < GRID[1] // 2, 3.0, 1.0)


def test_a_patch_counts_by_how_much_of_its_view_is_in_the_image() -> None:
    weights = border_weights((6, 8)).reshape(6, 8)

    np.testing.assert_allclose(weights[3], [0.6, 0.8, 1, 1, 1, 1, 0.8, 0.6], rtol=1e-6)
    np.testing.assert_allclose(weights[:, 4], [0.6, 0.8, 1, 1, 0.8, 0.6], rtol=1e-6)
    assert weights[0, -1] == pytest.approx(0.36)


@given(height=st.integers(1, 64), width=st.integers(1, 64))
def test_no_place_is_ignored(height: int, width: int) -> None:
    weights = border_weights((height, width))

    assert weights.shape == (height * width,)
    assert 0 < weights.min() <= weights.max() <= 1


def test_places_that_score_high_get_a_large_scale() -> None:
    scales = position_scales(maps(400, edge()), GRID).reshape(GRID)

    assert scales[:, 0] / scales[:, -1] == pytest.approx(3 * np.ones(6), rel=0.1)


@given(images=st.integers(0, 30), seed=st.integers(0, 2**31))
def test_scales_are_one_on_the_whole_and_never_zero(images: int, seed: int) -> None:
    scales = position_scales(maps(images, edge(), seed=seed), GRID)

    assert scales.shape == (PATCHES,)
    assert np.square(scales).mean() == pytest.approx(1, rel=1e-4)
    assert scales.min() > 0


def test_few_images_move_the_scales_little() -> None:
    few, many = (position_scales(maps(count, edge()), GRID) for count in (1, 200))

    assert np.ptp(few) < 0.3 * np.ptp(many)


def test_alignment_tells_places_that_differ_from_places_that_do_not() -> None:
    assert alignment(maps(20, edge()), GRID) > 0.8
    assert alignment(maps(20, np.ones(PATCHES)), GRID) < MIN_ALIGNMENT


def test_one_image_shows_no_alignment() -> None:
    assert alignment(maps(1, edge()), GRID) == 0


def test_maps_without_any_difference_show_no_alignment() -> None:
    assert alignment(np.zeros((5, PATCHES), dtype=np.float32), GRID) == 0
