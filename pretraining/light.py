"""What differs between pictures of one product: light, lens, sensor and compression."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from pretraining.fields import COLUMNS, ROWS, SIDE, Array, Random, log_uniform


@dataclass(frozen=True, kw_only=True)
class Camera:
    """How much the pictures of one product differ, apart from the product."""

    gain: float
    gradient: float
    blur: float
    noise: float
    #: of JPEG; 0 for none
    quality: int
    grey: bool


def draw_camera(random: Random, *, grey: bool) -> Camera:
    """Draw how much the pictures of a product are to differ."""
    return Camera(
        gain=random.choice((0.02, random.uniform(0.02, 0.35))),
        gradient=random.choice((0.0, random.uniform(0, 0.4))),
        blur=random.choice((0.0, random.uniform(0.2, 1.1))),
        noise=log_uniform(random, 0.002, 0.03),
        quality=int(random.choice((0, int(random.integers(40, 96))))),
        grey=grey,
    )


def photograph(image: Array, camera: Camera, random: Random) -> np.ndarray:
    """Return a picture as the camera takes it: (SIDE, SIDE, 3) float to uint8."""
    turn = random.uniform(0, 2 * np.pi)
    slope = (COLUMNS * np.cos(turn) + ROWS * np.sin(turn)) / SIDE
    light = 1 + camera.gradient * random.uniform(-1, 1) * slope
    light += camera.gain * random.uniform(-1, 1)
    image = image * light[..., None].astype(np.float32)
    if camera.blur:
        deviation = camera.blur * random.uniform(0.7, 1.3)
        image = gaussian_filter(image, (deviation, deviation, 0), truncate=2.5)
    shape = (SIDE, SIDE, 1 if camera.grey else 3)
    image = image + camera.noise * random.standard_normal(shape, dtype=np.float32)
    pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    if not camera.quality:
        return pixels
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG", quality=camera.quality)
    return np.asarray(Image.open(encoded).convert("RGB"))
