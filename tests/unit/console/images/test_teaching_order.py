"""The order in which labels teach most."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from blemish.console.images.teaching_order import SIDE, descriptor_of, teaching_order


def image(color: tuple[int, int, int]) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (64, 48), color).save(data, "PNG")
    return data.getvalue()


GREY, RED, BLUE = ((128, 128, 128), (200, 20, 20), (20, 20, 200))


def test_unsure_and_different_images_come_first() -> None:
    colors = {"grey": GREY, "sure": RED, "unsure": RED, "twin": RED, "other": BLUE}
    descriptors = {ref: descriptor_of(image(color)) for ref, color in colors.items()}
    probabilities = {"sure": 0.01, "unsure": 0.5, "twin": 0.48, "other": 0.4}

    order = teaching_order(probabilities, descriptors, ["grey"])

    assert order[:2] == ["unsure", "other"]
    assert sorted(order) == sorted(probabilities)


def test_images_without_a_descriptor_are_left_out() -> None:
    descriptors = {"a": np.zeros(SIDE * SIDE * 3, dtype=np.uint8)}

    assert teaching_order({"a": 0.5, "b": 0.5}, descriptors, []) == ["a"]
    assert teaching_order({}, {}, []) == []
