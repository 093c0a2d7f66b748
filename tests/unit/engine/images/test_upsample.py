import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from blemish.engine.images.upsample import upsampling_matrix


@given(
    before=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    times=st.integers(1, 8),
    seed=st.integers(0, 2**31),
)
def test_two_matrices_enlarge_a_map_bilinearly(
    before: tuple[int, int], times: int, seed: int
) -> None:
    grid = np.random.default_rng(seed).random(before, dtype=np.float32)
    h, w = before
    rows, columns = upsampling_matrix(h, times * h), upsampling_matrix(w, times * w)

    enlarged = rows @ grid @ columns.T

    size = (times * w, times * h)
    expected = Image.fromarray(grid).resize(size, Image.Resampling.BILINEAR)
    np.testing.assert_allclose(enlarged, np.asarray(expected), atol=1e-5)


@given(before=st.integers(1, 40), after=st.integers(1, 300))
def test_a_constant_map_stays_constant(before: int, after: int) -> None:
    matrix = upsampling_matrix(before, after)

    assert matrix.shape == (after, before)
    assert matrix.sum(axis=1) == pytest.approx(np.ones(after), abs=1e-5)
    assert (matrix >= 0).all()
