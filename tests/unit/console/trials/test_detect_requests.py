"""What a page is told of an image that it sent."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from blemish.console.trials.detect_requests import without_background
from blemish.domain.palette import PALETTE
from blemish.engine.images.masks import encode_mask


def test_of_a_mask_only_the_background_is_not_seen() -> None:
    mask = np.zeros((80, 100), dtype=np.uint8)
    mask[20:30, 40:60] = 1

    shown = Image.open(io.BytesIO(without_background(encode_mask(mask, colors=PALETTE))))

    seen = np.asarray(shown.convert("RGBA"))[:, :, 3]
    assert np.array_equal(seen > 0, mask > 0)
