from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from blemish.engine.images.resize import resize, resize_nearest

SIDES = st.integers(1, 300)


@pytest.fixture(scope="module")
def helper() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((640, 480), (256, 192)),
        ((802, 1456), (160, 256)),  # Pillow filters the halves in another order than the whole
        ((641, 481), (256, 192)),  # no half begins at a whole row
        ((100, 66), (256, 160)),
        ((3, 200), (32, 64)),
    ],
)
def test_a_helper_changes_no_pixel(
    helper: Executor, before: tuple[int, int], after: tuple[int, int]
) -> None:
    generator = np.random.default_rng(1)
    pixels = generator.integers(0, 256, (*before[::-1], 3), dtype=np.uint8)
    width, height = after

    resized = resize(pixels, width=width, height=height, helper=helper)

    assert (resized == resize(pixels, width=width, height=height)).all()


@given(before=st.tuples(SIDES, SIDES), after=st.tuples(SIDES, SIDES), seed=st.integers(0, 2**31))
def test_the_nearest_pixel_is_the_one_that_pillow_takes(
    before: tuple[int, int], after: tuple[int, int], seed: int
) -> None:
    values = np.random.default_rng(seed).integers(0, 256, before, dtype=np.uint8)
    width, height = after

    resized = resize_nearest(values, width=width, height=height)

    by_pillow = Image.fromarray(values).resize((width, height), Image.Resampling.NEAREST)
    assert (resized == np.asarray(by_pillow)).all()
