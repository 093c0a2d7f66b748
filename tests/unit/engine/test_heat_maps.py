from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from blemish.domain.limits import MIB
from blemish.engine.heat_maps import HEAT_COLORS, encode_heat_map, heat_levels
from blemish.engine.images.upsample import upsampling_matrix

LARGEST = (16_384, 6_103)
"""The most pixels that an image may have."""


def drawn(
    anomaly_map: NDArray[np.float32], *, threshold: float, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return a heat map as a client reads it: (H, W, 4)."""
    png = encode_heat_map(anomaly_map, threshold=threshold, size=size)
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.size) == ("PNG", size)
        return np.asarray(image.convert("RGBA"))


def flat(score: float) -> NDArray[np.float32]:
    return np.full((2, 3), score, dtype=np.float32)


@pytest.mark.parametrize(
    ("score", "level"), [(0.0, 0), (1.5, 0), (2.5, 128), (3.5, 255), (1_000.0, 255)]
)
def test_heat_begins_below_the_threshold_and_grows_as_far_above_it(
    score: float, level: int
) -> None:
    levels = heat_levels(flat(score), threshold=2.0, size=(6, 4))

    assert levels.shape == (4, 6)
    assert (levels == level).all()


def test_the_same_share_of_the_threshold_is_the_same_colour() -> None:
    first = drawn(flat(1.2), threshold=1.0, size=(3, 2))

    second = drawn(flat(36.0), threshold=30.0, size=(3, 2))

    assert (first == second).all()


def test_a_cold_image_is_seen_through_and_the_hottest_place_is_yellow() -> None:
    anomaly_map = np.zeros((2, 3), dtype=np.float32)
    anomaly_map[0, 2] = 9.0

    heat = drawn(anomaly_map, threshold=1.0, size=(300, 200))

    assert heat[199, 0].tolist()[3] == 0
    assert heat[0, 299].tolist() == [248, 249, 13, 217]


def test_a_threshold_of_zero_makes_every_score_hot() -> None:
    assert (heat_levels(flat(0.1), threshold=0.0, size=(3, 2)) == 255).all()


def test_the_heat_map_of_the_largest_image_fits_into_an_answer() -> None:
    ragged = np.random.default_rng(0).uniform(0.5, 2, (12, 32)).astype(np.float32)
    anomaly_map = (upsampling_matrix(12, 96) @ ragged @ upsampling_matrix(32, 256).T).astype(
        np.float32
    )

    png = encode_heat_map(anomaly_map, threshold=1.0, size=LARGEST)

    assert len(png) <= 5 * MIB


def test_the_lightness_of_the_heat_colours_rises_evenly() -> None:
    linear = np.where(
        HEAT_COLORS / 255 <= 0.04045,
        HEAT_COLORS / 255 / 12.92,
        ((HEAT_COLORS / 255 + 0.055) / 1.055) ** 2.4,
    )
    to_cone = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )

    lightness = np.cbrt(linear @ to_cone.T) @ np.array([0.2104542553, 0.7936177850, -0.0040720468])

    assert np.diff(lightness) == pytest.approx(np.full(8, 0.0838), abs=0.005)
