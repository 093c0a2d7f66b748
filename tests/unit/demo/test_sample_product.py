import io
from collections import Counter
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from blemish.demo.sample_plate import HEIGHT, WIDTH
from blemish.demo.sample_product import COLORS, draw_product, draw_sample_set, jpeg
from blemish.domain.entities import Label
from blemish.domain.palette import PALETTE

SEEDS = range(4)


@cache
def drawn(seed: int, anomaly_type: str | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    image, mask = draw_product(np.random.default_rng(seed), anomaly_type=anomaly_type)
    return image, np.zeros((HEIGHT, WIDTH), dtype=np.uint8) if mask is None else mask


def test_anomaly_types_have_the_first_colours_of_the_palette() -> None:
    assert list(COLORS) == ["scratch", "stain", "chip"]
    assert list(COLORS.values()) == list(PALETTE[1:4])


@pytest.mark.parametrize("anomaly_type", [None, *COLORS])
def test_the_same_seed_gives_the_same_pixels(anomaly_type: str | None) -> None:
    image, mask = drawn(1, anomaly_type)

    again, mask_again = draw_product(np.random.default_rng(1), anomaly_type=anomaly_type)

    assert (image == again).all()
    assert (mask == (0 if mask_again is None else mask_again)).all()


def test_another_seed_gives_another_piece_but_not_another_product() -> None:
    image, _ = drawn(1, None)

    other, _ = drawn(2, None)

    difference = np.abs(image.astype(int) - other)
    assert (difference > 0).mean() > 0.5
    assert difference.mean() < 10


@pytest.mark.parametrize("anomaly_type", COLORS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_defect_changes_the_image_where_its_mask_says(seed: int, anomaly_type: str) -> None:
    flawless, _ = drawn(seed, None)

    image, mask = drawn(seed, anomaly_type)

    difference = np.abs(image.astype(int) - flawless).max(axis=2)
    blurred = ndimage.binary_dilation(mask > 0, iterations=4)
    assert difference[~blurred].max() <= 3
    assert difference[mask > 0].mean() > 15


@pytest.mark.parametrize("anomaly_type", COLORS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_defect_lies_on_the_plate_and_is_large_enough_to_see(
    seed: int, anomaly_type: str
) -> None:
    flawless, _ = drawn(seed, None)

    _, mask = drawn(seed, anomaly_type)

    assert set(np.unique(mask)) == {0, PALETTE.index(COLORS[anomaly_type])}
    assert np.median(flawless[mask > 0]) > 120  # metal; the belt is dark
    assert 0.001 < (mask > 0).mean() < 0.04


def test_a_flawless_piece_has_no_mask() -> None:
    image, mask = draw_product(np.random.default_rng(0), anomaly_type=None)

    assert mask is None
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.uint8


def test_the_sample_set_has_enough_of_each_kind_and_no_image_twice() -> None:
    sample = draw_sample_set(0)

    images = sample.train + sample.test
    assert Counter(image.anomaly_type for image in sample.train) == {
        None: 24, "scratch": 8, "stain": 8, "chip": 8
    }  # fmt: skip
    assert Counter(image.anomaly_type for image in sample.test) == {
        None: 12, "scratch": 4, "stain": 4, "chip": 4
    }  # fmt: skip
    assert len({image.image.tobytes() for image in images}) == len(images)
    for split in (sample.train, sample.test):
        assert len({image.name for image in split}) == len(split)
    for image in images:
        is_anomaly = image.anomaly_type is not None
        assert image.label == (Label.ANOMALY if is_anomaly else Label.NORMAL)
        assert (image.mask is not None) == is_anomaly


def test_jpeg_keeps_size_and_look() -> None:
    image, _ = drawn(0, "stain")

    with Image.open(io.BytesIO(jpeg(image))) as decoded:
        assert decoded.format == "JPEG"
        pixels = np.asarray(decoded)

    assert pixels.shape == image.shape
    assert np.abs(pixels.astype(int) - image).mean() < 3
