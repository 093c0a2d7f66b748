"""The demo's sample product: plates without and with defects, drawn from a seed.

A defect changes the height, the colour or the outline of a plate before the light falls on it.
Everything random comes from the generator that is passed in: the same seed gives the same pixels,
and a plate with a defect is the very plate that the same seed gives without.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.demo.sample_plate import (
    BOSS,
    COUNTERSINK,
    HALF_HEIGHT,
    HALF_WIDTH,
    HEIGHT,
    HOLE_U,
    HOLE_V,
    WIDTH,
    Plane,
    Plate,
    flawless_plate,
    noise,
    photograph,
    ramp,
)
from blemish.domain.entities import Label
from blemish.domain.palette import PALETTE

JPEG_QUALITY: Final = 92

TRAIN_NORMAL, TRAIN_PER_TYPE = 24, 8
TEST_NORMAL, TEST_PER_TYPE = 12, 4


@dataclass(frozen=True, kw_only=True)
class SampleImage:
    """One drawn image with its truth."""

    name: str
    label: Label
    image: NDArray[np.uint8]  # (H, W, 3) RGB
    mask: NDArray[np.uint8] | None  # (H, W) index into PALETTE; None for a normal image
    anomaly_type: str | None


@dataclass(frozen=True, kw_only=True)
class SampleSet:
    """The images to train on and those to test with."""

    train: tuple[SampleImage, ...]
    test: tuple[SampleImage, ...]


def draw_sample_set(seed: int, *, advance: Callable[[int, int], None] | None = None) -> SampleSet:
    """Draw the demo's images: 48 to train on, half of them with a defect, and 24 to test with.

    `advance` is told how many of how many are drawn.
    """
    train, test = np.random.default_rng(seed).spawn(2)
    drawing = chain(
        _draw_split(train, normal=TRAIN_NORMAL, per_type=TRAIN_PER_TYPE),
        _draw_split(test, normal=TEST_NORMAL, per_type=TEST_PER_TYPE),
    )
    to_train = TRAIN_NORMAL + TRAIN_PER_TYPE * len(COLORS)
    total = to_train + TEST_NORMAL + TEST_PER_TYPE * len(COLORS)
    images = []
    for done, image in enumerate(drawing, start=1):
        images.append(image)
        if advance:
            advance(done, total)
    return SampleSet(train=tuple(images[:to_train]), test=tuple(images[to_train:]))


def draw_product(
    generator: np.random.Generator, *, anomaly_type: str | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Draw one image, (H, W, 3) RGB, and its mask, (H, W) index into PALETTE.

    Args:
        generator: spawned from, never drawn from.
        anomaly_type: a key of `COLORS`; None for a flawless piece, which has no mask.
    """
    pose, surface, flaw, camera = generator.spawn(4)
    plate = flawless_plate(pose, surface)
    flawed = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    if anomaly_type is not None:
        plate, flawed = _DEFECTS[anomaly_type](plate, flaw)
    image = photograph(plate, camera)
    if anomaly_type is None:
        return image, None
    index = PALETTE.index(COLORS[anomaly_type])
    return image, np.where(flawed, index, 0).astype(np.uint8)


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """Encode (H, W, 3) RGB as an inspection camera would."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _draw_split(
    generator: np.random.Generator, *, normal: int, per_type: int
) -> Iterator[SampleImage]:
    for number, child in enumerate(generator.spawn(normal), start=1):
        image, _ = draw_product(child, anomaly_type=None)
        yield SampleImage(
            name=f"normal-{number:02}",
            label=Label.NORMAL,
            image=image,
            mask=None,
            anomaly_type=None,
        )
    for anomaly_type in COLORS:
        for number, child in enumerate(generator.spawn(per_type), start=1):
            image, mask = draw_product(child, anomaly_type=anomaly_type)
            yield SampleImage(
                name=f"{anomaly_type}-{number:02}",
                label=Label.ANOMALY,
                image=image,
                mask=mask,
                anomaly_type=anomaly_type,
            )


def _scratched(plate: Plate, flaw: np.random.Generator) -> tuple[Plate, NDArray[np.bool_]]:
    """Draw one to three strokes of a hard edge across the face, deepest in their middle."""
    a, b = _position_on_face(flaw)
    direction, length = flaw.uniform(0, math.pi), flaw.uniform(50, 110)
    along = (plate.u - a) * np.cos(direction) + (plate.v - b) * np.sin(direction)
    across = (plate.v - b) * np.cos(direction) - (plate.u - a) * np.sin(direction)
    bend, width = flaw.normal(0, 0.0015), flaw.uniform(1.5, 2.4)
    cut, burr = np.zeros_like(along), np.zeros_like(along)
    for stroke in range(int(flaw.integers(1, 4))):
        middle, half_length = flaw.normal(0, 4), length / 2 * flaw.uniform(0.6, 1.0)
        steps = np.linspace(-half_length, half_length, 60)
        wander = bend * steps**2 + np.cumsum(flaw.normal(0, 0.07, 60)) + stroke * 7
        beside = across - np.interp(along - middle, steps, wander)
        depth = np.clip(1 - ((along - middle) / half_length) ** 4, 0, 1)
        cut = np.maximum(cut, depth * np.exp(-((beside / width) ** 2)))
        burr = np.maximum(burr, depth * np.exp(-((beside / width - 1.9) ** 2)))
    scratched = replace(
        plate,
        height=plate.height - 2.0 * cut + 0.9 * burr,
        color=plate.color * (1 - 0.6 * cut + 0.3 * burr)[..., None],
    )
    return scratched, (np.maximum(cut, burr) > 0.15) & (plate.outline < 0)


def _stained(plate: Plate, flaw: np.random.Generator) -> tuple[Plate, NDArray[np.bool_]]:
    """Let a drop of oil or rust water dry on the face."""
    a, b = _position_on_face(flaw)
    size = flaw.uniform(12, 24)
    drop = _blob(plate, flaw, at=(a, b), size=size)
    for _ in range(int(flaw.integers(0, 4))):
        turn, away = flaw.uniform(0, 2 * np.pi), size * flaw.uniform(1.2, 1.8)
        at = (a + away * np.cos(turn), b + away * np.sin(turn))
        drop = np.minimum(drop, _blob(plate, flaw, at=at, size=flaw.uniform(2, 4.5)))
    body = ramp(-drop, -1, 1.5)
    rim = np.exp(-(((drop + 2) / 1.8) ** 2))
    cloud = 1 + 0.25 * noise(flaw, along=5, across=5)
    opacity = np.clip(body * (0.62 * cloud + 0.3 * rim), 0, 0.95)
    tint = np.array([0.36, 0.24, 0.12]) * flaw.uniform(0.7, 1.1)
    stained = replace(
        plate,
        color=plate.color * (1 - opacity[..., None]) + tint * opacity[..., None],
        gloss=plate.gloss * (1 - 0.8 * opacity),
    )
    return stained, (drop < 0.5) & (plate.outline < 0)


def _chipped(plate: Plate, flaw: np.random.Generator) -> tuple[Plate, NDArray[np.bool_]]:
    """Break a piece out of the outer edge; the broken face is rough and slopes to the belt."""
    at, size = _position_on_edge(flaw), flaw.uniform(12, 23)
    bite = _blob(plate, flaw, at=at, size=size) + 0.9 * noise(flaw, along=2, across=2)
    slope = flaw.uniform(4, 7)
    broken = ramp(-bite, -slope, 0)
    grain = noise(flaw, along=1, across=1)
    chipped = replace(
        plate,
        height=plate.height * (1 - broken) + broken * (1.2 * grain),
        color=plate.color * (1 + broken * (0.12 * grain - 0.15))[..., None],
        outline=np.maximum(plate.outline, -bite),
        gloss=plate.gloss * (1 - broken),
    )
    return chipped, (bite < slope) & (plate.outline < 0)


_DEFECTS: Final[
    dict[str, Callable[[Plate, np.random.Generator], tuple[Plate, NDArray[np.bool_]]]]
] = {"scratch": _scratched, "stain": _stained, "chip": _chipped}

COLORS: Final = dict(zip(_DEFECTS, PALETTE[1:], strict=False))
"""Anomaly type -> colour in masks."""


def _position_on_face(flaw: np.random.Generator) -> tuple[float, float]:
    """Choose a place on the flat of the plate, clear of bore, holes and edge."""
    while True:
        u, v = flaw.uniform(-118, 118), flaw.uniform(-78, 78)
        from_hole = math.hypot(abs(u) - HOLE_U, abs(v) - HOLE_V)
        if from_hole > COUNTERSINK + 6 and math.hypot(u, v) > BOSS + 5:
            return u, v


def _position_on_edge(flaw: np.random.Generator) -> tuple[float, float]:
    """Choose a place on the outer edge, clear of its corners."""
    side = flaw.choice([-1.0, 1.0])
    if flaw.random() < 0.6:
        return flaw.uniform(-80, 80), side * HALF_HEIGHT
    return side * HALF_WIDTH, flaw.uniform(-45, 45)


def _blob(
    plate: Plate, flaw: np.random.Generator, *, at: tuple[float, float], size: float
) -> Plane:
    """Signed distance, about, to an irregular round shape; negative inside."""
    du, dv = plate.u - at[0], plate.v - at[1]
    angle = np.arctan2(dv, du)
    radius = np.full_like(angle, size)
    for wave in range(2, 7):
        radius += size * 0.2 / wave * flaw.normal() * np.cos(wave * angle + flaw.uniform(0, 6.3))
    return np.hypot(du, dv) - radius
