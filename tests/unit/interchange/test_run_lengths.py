from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from blemish.interchange.run_lengths import (
    decode_brush,
    decode_coco_text,
    decode_runs,
    encode_brush,
    encode_runs,
)

MASKS = arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))


@given(mask=MASKS)
def test_runs_give_their_mask_again(mask: np.ndarray) -> None:
    decoded = decode_runs(encode_runs(mask), size=mask.shape[::-1])

    np.testing.assert_array_equal(decoded, mask)


@given(mask=MASKS)
def test_codes_of_the_brush_give_their_mask_again(mask: np.ndarray) -> None:
    decoded = decode_brush(bytes(encode_brush(mask)), size=mask.shape[::-1])

    np.testing.assert_array_equal(decoded, mask)


def test_the_compressed_text_of_pycocotools_is_read() -> None:
    mask = np.zeros((10, 12), dtype=np.bool_)
    mask[3:7, 2:9] = True
    mask[5, 4] = False

    # pycocotools 2.0.11: encode(numpy.asfortranarray(mask))
    assert decode_coco_text("g04600NKO53000000k0") == encode_runs(mask.T.copy())


@pytest.mark.parametrize("text", ["g0460\x1f", "`", "o" * 40])
def test_a_damaged_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the text of its runs is"):
        decode_coco_text(text)


def test_runs_of_another_number_of_pixels_are_refused_before_anything_is_allocated() -> None:
    with pytest.raises(ValueError, match=r"its runs have 1,000,000,000,000 pixels, but 8 x 8 are"):
        decode_runs([10**12], size=(8, 8))


def test_a_brush_of_four_thousand_million_values_is_refused_by_its_head() -> None:
    with pytest.raises(ValueError, match=r"its runs have 4,294,967,295 values, but 8 x 8 pixels"):
        decode_brush(b"\xff\xff\xff\xff\x3a\x23\xbf", size=(8, 8))


def test_a_brush_that_is_cut_off_is_refused() -> None:
    codes = bytes(encode_brush(np.eye(8, dtype=np.bool_)))

    with pytest.raises(ValueError, match="its runs are cut off"):
        decode_brush(codes[:-4], size=(8, 8))
