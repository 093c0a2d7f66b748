"""A machined cover plate on a conveyor belt: a height field in pixels, lit and photographed.

The plate is built from signed distances (negative inside) and lit from the upper left. Planes are
(HEIGHT, WIDTH), or (HEIGHT, WIDTH, 3) where they hold light or colour; lengths are in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]

WIDTH: Final = 384
HEIGHT: Final = 288

HALF_WIDTH, HALF_HEIGHT = 136.0, 94.0  # of the plate
BOSS = 66.0  # radius of the raised ring in the middle
HOLE_U, HOLE_V, COUNTERSINK = 104.0, 63.0, 16.0  # a hole in each corner

_CORNER, _BORE, _HOLE = 26.0, 38.0, 9.5  # radii
_METAL = np.array([0.74, 0.75, 0.76])
_BELT = np.array([0.190, 0.216, 0.224])


@dataclass(frozen=True, kw_only=True)
class Plate:
    """A plate as it lies on the belt."""

    u: Plane  # place along the plate, pixels from its centre
    v: Plane  # place across the plate
    height: Plane  # pixels above the belt
    color: Plane  # share of red, green and blue light that is reflected
    footprint: Plane  # signed distance to what casts the shadow, negative on it
    outline: Plane  # signed distance to the metal that the camera sees, negative on it
    gloss: Plane  # 0 matt, 1 bare metal


def flawless_plate(pose: np.random.Generator, surface: np.random.Generator) -> Plate:
    """Lay a new plate on the belt, a pixel or two and half a degree off."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    x -= (WIDTH - 1) / 2 + pose.uniform(-1.5, 1.5)
    y -= (HEIGHT - 1) / 2 + pose.uniform(-1.5, 1.5)
    angle = math.radians(pose.uniform(-0.6, 0.6))
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    radius = np.hypot(u, v)

    edge = _rounded_box(u, v)
    holes = np.hypot(np.abs(u) - HOLE_U, np.abs(v) - HOLE_V)  # to the nearest one
    footprint = np.maximum(edge, _BORE - radius)

    height = 9 * ramp(-edge, 0, 7)  # chamfer
    height += 5 * ramp(BOSS - radius, -4, 3)  # boss, with a fillet
    height -= 3.5 * np.exp(-(((radius - 53) / 3.2) ** 4))  # groove of the seal
    height *= ramp(radius, _BORE - 2, _BORE + 4)
    height *= ramp(holes, _HOLE - 6, COUNTERSINK)

    turned = ramp(BOSS - radius, -1, 2)  # lathe marks on the boss, brush marks elsewhere
    brushed = noise(surface, along=16, across=0.8)
    rings = np.interp(radius, np.arange(120), surface.normal(0, 1, 120))
    marks = (1 - turned) * brushed + turned * rings
    cast = noise(surface, along=45, across=45)
    color = _METAL * (1 + 0.018 * marks + 0.01 * cast)[..., None]
    return Plate(
        u=u,
        v=v,
        height=height,
        color=color,
        footprint=footprint,
        outline=np.maximum(footprint, _HOLE - holes),
        gloss=1 + 0.06 * marks,
    )


def photograph(plate: Plate, camera: np.random.Generator) -> NDArray[np.uint8]:
    """Light the scene, and take its image with a lens and a sensor that are not perfect."""
    cover = ramp(-plate.outline, -0.7, 0.7)[..., None]
    scene = _belt(plate, camera) * (1 - cover) + _lit_metal(plate, camera) * cover
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    falloff = 1.04 - 0.09 * (x**2 + y**2) - 0.06 * x - 0.07 * y
    exposure = 285 * camera.uniform(0.988, 1.012) * (1 + camera.uniform(-0.004, 0.004, 3))
    softness = camera.uniform(0.55, 0.8)
    exposed = _blur(scene * falloff[..., None] * exposure, down=softness, right=softness)
    deviation = np.sqrt(1.2 + 0.01 * np.maximum(exposed, 0))  # of the sensor: read and shot noise
    return np.clip(exposed + camera.normal(0, deviation) + 0.5, 0, 255).astype(np.uint8)


def _lit_metal(plate: Plate, camera: np.random.Generator) -> Plane:
    """Light the plate by a lamp that hangs to the upper left, about the same at every image."""
    lamp = np.array(
        [-0.42 + camera.uniform(-0.01, 0.01), -0.52 + camera.uniform(-0.01, 0.01), 0.74]
    )
    lamp /= np.linalg.norm(lamp)
    halfway = lamp + np.array([0, 0, 1])  # between lamp and camera
    halfway /= np.linalg.norm(halfway)
    down, right = np.gradient(plate.height)
    steepness = np.sqrt(down**2 + right**2 + 1.6**2)
    diffuse, mirrored = (
        np.maximum(1.6 * z - right * x - down * y, 0) / steepness for x, y, z in (lamp, halfway)
    )
    radius, angle = np.hypot(plate.u, plate.v), np.arctan2(plate.v, plate.u)
    sweep = np.cos(angle - np.arctan2(lamp[1], lamp[0])) ** 4  # the two rays on a turned face
    shine = plate.gloss * mirrored**28 * (1 + ramp(BOSS - radius, -1, 2) * (sweep - 0.35))
    lit: Plane = plate.color * (0.24 + 0.72 * diffuse)[..., None] + 0.22 * shine[..., None]
    return lit


def _belt(plate: Plate, camera: np.random.Generator) -> Plane:
    """A woven rubber belt, wherever it has run to, under the shadow of the plate."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    x, y = x + camera.uniform(0, 8), y + camera.uniform(0, 8)
    weave = np.sin(2 * np.pi * (x + y) / 8) * np.sin(2 * np.pi * (x - y) / 8)
    grain = camera.normal(0, 1, (HEIGHT, WIDTH))
    solid = ramp(-plate.footprint, -1, 1)
    occlusion = _blur(solid, down=3, right=3)
    shadow = np.roll(_blur(solid, down=7, right=7), (9, 7), axis=(0, 1))
    light: Plane = (1 + 0.07 * weave + 0.09 * grain) * (1 - 0.55 * shadow - 0.25 * occlusion)
    return _BELT * light[..., None]


def _rounded_box(u: Plane, v: Plane) -> Plane:
    """Signed distance to the plate's outer edge, negative inside."""
    over_u = np.abs(u) - HALF_WIDTH + _CORNER
    over_v = np.abs(v) - HALF_HEIGHT + _CORNER
    outside = np.hypot(np.maximum(over_u, 0), np.maximum(over_v, 0))
    return outside + np.minimum(np.maximum(over_u, over_v), 0) - _CORNER


def ramp(value: Plane, low: float, high: float) -> Plane:
    """Rise smoothly from 0 at `low` to 1 at `high`."""
    share = np.clip((value - low) / (high - low), 0, 1)
    risen: Plane = share * share * (3 - 2 * share)
    return risen


def noise(generator: np.random.Generator, *, along: float, across: float) -> Plane:
    """Smooth noise around 0, of deviation 1, with grains of this size in pixels."""
    grains = _blur(generator.normal(0, 1, (HEIGHT, WIDTH)), down=across, right=along)
    even: Plane = grains / grains.std()
    return even


def _blur(image: Plane, *, down: float, right: float) -> Plane:
    """Blur by a Gaussian of these deviations in pixels; the edges wrap."""
    y = np.fft.fftfreq(HEIGHT)[:, None] * down
    x = np.fft.rfftfreq(WIDTH)[None, :] * right
    window = np.exp(-2 * np.pi**2 * (x**2 + y**2)).reshape(HEIGHT, -1, *[1] * (image.ndim - 2))
    blurred: Plane = np.fft.irfft2(
        np.fft.rfft2(image, axes=(0, 1)) * window, s=(HEIGHT, WIDTH), axes=(0, 1)
    )
    return blurred
