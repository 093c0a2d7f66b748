from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from blemish.engine.images.appearance import appearance, layout_shift, layout_spectrum


def scene() -> NDArray[np.uint8]:
    """Return an image of random blocks, with fine grain."""
    generator = np.random.default_rng(3)
    blocks = generator.integers(40, 200, (16, 16, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    return blocks + generator.integers(0, 40, blocks.shape, dtype=np.uint8)


def test_a_darker_image_has_less_brightness_and_the_same_sharpness() -> None:
    bright, dark = appearance(scene()), appearance(scene() // 2)

    assert dark.brightness == pytest.approx(bright.brightness / 2, rel=0.02)
    assert dark.sharpness == pytest.approx(bright.sharpness, rel=0.02)


def test_a_blurred_image_has_less_sharpness_and_the_same_brightness() -> None:
    blurred = np.asarray(Image.fromarray(scene()).filter(ImageFilter.GaussianBlur(1.5)))

    sharp, soft = appearance(scene()), appearance(blurred)

    assert soft.sharpness < 0.8 * sharp.sharpness
    assert soft.brightness == pytest.approx(sharp.brightness, rel=0.02)


def test_a_shift_is_measured_to_a_part_of_a_cell_of_the_layout() -> None:
    reference = layout_spectrum(appearance(scene()).layout)
    moved = np.roll(scene(), (-18, 10), axis=(0, 1))  # of 256 pixels; a cell has 4

    shift = layout_shift(layout_spectrum(appearance(moved).layout), reference)

    assert shift.x == pytest.approx(10 / 256, abs=0.006)
    assert shift.y == pytest.approx(-18 / 256, abs=0.006)
    assert shift.peak > 10


def test_an_image_without_structure_has_no_shift_and_no_error() -> None:
    plain = appearance(np.zeros((256, 256, 3), dtype=np.uint8))

    assert plain.sharpness == 0
    spectrum = layout_spectrum(plain.layout)
    shift = layout_shift(spectrum, spectrum)
    assert (shift.x, shift.y, shift.peak) == (0, 0, 0)
