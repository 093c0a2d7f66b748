"""Defects: what may be wrong with a piece, each with the pixels that it changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter

from pretraining.fields import COLUMNS, ROWS, SIDE, Array, Random, log_uniform, smooth_noise
from pretraining.products import Product, Scene, draw_material
from pretraining.shapes import blob_mask, stroke_mask

_TRIES = 6
_MIDDLE = np.float32((SIDE - 1) / 2)

Change = Callable[[Random, Product, Scene], Array]
"""Returns the picture (SIDE, SIDE, 3) of a scene with a defect."""


def spoil(random: Random, product: Product, seed: int) -> tuple[Array, Array]:
    """Draw the piece of a seed with a defect.

    Returns:
        The picture (SIDE, SIDE, 3) and the defect's pixels (SIDE, SIDE), True where it is changed.
    """
    scene = product.render(seed)
    local = _deviation(scene.image)
    for _ in range(_TRIES):
        changed = _one(random, product, scene, seed)
        if random.random() < 0.15:
            second = Scene(image=changed, background=scene.background, cover=scene.cover)
            changed = _one(random, product, second, seed)
        mask = _changed_pixels(scene.image, changed, local)
        if 6 <= mask.sum() <= 0.4 * SIDE**2:
            return changed, mask
    spot = _somewhere(random, scene, radius=log_uniform(random, 3, 9))
    changed = scene.image + np.float32(random.choice((-0.4, 0.4))) * spot[..., None]
    return changed, spot > 0.5


def _deviation(image: Array) -> Array:
    """Return the deviation of lightness around each pixel."""
    light = image.mean(axis=2)
    mean = uniform_filter(light, 15)
    return np.sqrt(np.maximum(uniform_filter(light**2, 15) - mean**2, 0))


def _changed_pixels(before: Array, after: Array, local: Array) -> Array:
    """Return where a change is large enough to be seen in its surroundings."""
    change = np.abs(np.clip(after, 0, 1) - np.clip(before, 0, 1)).max(axis=2)
    area = max(float(change.max()) * 0.3, 0.012)
    mask = gaussian_filter(change, 0.7) > area
    if mask.any() and change[mask].mean() < 0.35 * local[mask].mean():
        return np.zeros_like(mask)
    return mask


def _one(random: Random, product: Product, scene: Scene, seed: int) -> Array:
    if product.parts and random.random() < 0.2:
        return _part_defect(random, product, scene, seed)
    if product.body is not None and random.random() < 0.15:
        return _chip(random, product, scene)
    changes: tuple[tuple[Change, float], ...] = (
        (_scratch, 0.2),
        (_crack, 0.12),
        (_stain, 0.18),
        (_hole, 0.1),
        (_dent, 0.1),
        (_foreign, 0.09),
        (_smear, 0.06),
        (_warp, 0.05),
        (_smudge, 0.06),
        (_specks, 0.04),
    )
    shares = np.array([share for _, share in changes])
    return changes[random.choice(len(changes), p=shares / shares.sum())][0](random, product, scene)


def _point(random: Random, scene: Scene) -> tuple[float, float]:
    """Return (row, column) of a point on the piece."""
    for _ in range(20):
        row, column = random.integers(4, SIDE - 4, 2)
        if scene.cover[row, column] > 0.5:
            return float(row), float(column)
    return float(row), float(column)


def _somewhere(random: Random, scene: Scene, *, radius: float) -> Array:
    row, column = _point(random, scene)
    return blob_mask(random, row=row, column=column, radius=radius)


def _tone(random: Random, product: Product, scene: Scene, *, low: float) -> Array:
    """Return a change of colour (3,), darker more often than lighter, plain in this texture."""
    texture = float(scene.image.std(axis=(0, 1)).mean())
    strength = log_uniform(random, low, 0.5) + random.uniform(0, 1) * texture * 0.7
    direction = np.full(3, random.choice((-1, -1, 1)))
    if not product.grey and random.random() < 0.5:
        direction = random.uniform(-1, 1, 3)
    return (strength * direction).astype(np.float32)


def _scratch(random: Random, product: Product, scene: Scene) -> Array:
    row, column = _point(random, scene)
    length, width = log_uniform(random, 8, 110), log_uniform(random, 0.5, 3)
    line = stroke_mask(random, row=row, column=column, length=length, width=width)
    changed = scene.image + line[..., None] * _tone(random, product, scene, low=0.05)
    if random.random() < 0.3:
        edge = np.roll(line, random.integers(1, 3), axis=random.integers(2))
        changed -= 0.5 * edge[..., None] * _tone(random, product, scene, low=0.05)
    return changed


def _crack(random: Random, _: Product, scene: Scene) -> Array:
    row, column = _point(random, scene)
    length, width = log_uniform(random, 15, 90), log_uniform(random, 0.5, 2)
    line = stroke_mask(random, row=row, column=column, length=length, width=width)
    depth = np.float32(log_uniform(random, 0.15, 0.9))
    return scene.image * (1 - depth * line[..., None])


def _stain(random: Random, product: Product, scene: Scene) -> Array:
    spot = _somewhere(random, scene, radius=log_uniform(random, 2, 26))
    if random.random() < 0.3:
        spot = spot * (smooth_noise(random, log_uniform(random, 1, 8)) > random.uniform(-1, 0.7))
    tone = _tone(random, product, scene, low=0.05)
    if random.random() < 0.5:
        return scene.image * (1 + spot[..., None] * tone)
    return scene.image + spot[..., None] * tone


def _smudge(random: Random, product: Product, scene: Scene) -> Array:
    row, column = _point(random, scene)
    stretch, turn = log_uniform(random, 1, 5), random.uniform(0, np.pi)
    x, y = COLUMNS + _MIDDLE - column, ROWS + _MIDDLE - row
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    size = log_uniform(random, 3, 20)
    soft = np.exp(-((u / (size * stretch)) ** 2 + (v / size) ** 2)).astype(np.float32)
    return scene.image + soft[..., None] * _tone(random, product, scene, low=0.03)


def _hole(random: Random, product: Product, scene: Scene) -> Array:
    radius = log_uniform(random, 1.5, 12)
    spot = _somewhere(random, scene, radius=radius)
    inside = random.uniform(0, 0.25) if random.random() < 0.7 else scene.background.mean()
    down, right = np.gradient(gaussian_filter(spot, 1))
    rim = (down * np.sin(product.light) + right * np.cos(product.light)) * random.uniform(0, 1.5)
    changed = scene.image * (1 - spot[..., None]) + np.float32(inside) * spot[..., None]
    return changed + rim[..., None].astype(np.float32)


def _dent(random: Random, product: Product, scene: Scene) -> Array:
    """A bump or hollow, or a groove: light falls on it otherwise."""
    row, column = _point(random, scene)
    if random.random() < 0.3:
        height = stroke_mask(random, row=row, column=column, length=50, width=2.5)
    else:
        radius = log_uniform(random, 2, 18)
        height = blob_mask(random, row=row, column=column, radius=radius)
    height = gaussian_filter(height, log_uniform(random, 0.8, 4))
    down, right = np.gradient(height)
    slope = down * np.sin(product.light) + right * np.cos(product.light)
    slope *= random.choice((-1, 1)) * log_uniform(random, 0.08, 0.6) / (np.abs(slope).max() + 1e-6)
    return scene.image + slope[..., None].astype(np.float32)


def _foreign(random: Random, product: Product, scene: Scene) -> Array:
    """A spot of another material, perhaps of the same colour."""
    spot = _somewhere(random, scene, radius=log_uniform(random, 4, 24))
    tone = float(scene.image[spot > 0.5].mean()) if (spot > 0.5).any() else 0.5
    if random.random() < 0.4:
        tone = random.uniform(0.1, 0.9)
    contrast = log_uniform(random, 0.02, 0.3)
    other = draw_material(random, grey=product.grey, contrast=contrast, tone=tone)
    patch = other.render(random, (COLUMNS, ROWS))
    return scene.image * (1 - spot[..., None]) + patch * spot[..., None]


def _smear(random: Random, _: Product, scene: Scene) -> Array:
    """The texture wiped away, or its contrast raised, in a spot."""
    spot = _somewhere(random, scene, radius=log_uniform(random, 5, 26))[..., None]
    size = log_uniform(random, 2, 9)
    deviation = (size, size * random.uniform(0, 1), 0)
    if random.random() < 0.5:
        deviation = (deviation[1], deviation[0], 0)
    blurred = gaussian_filter(scene.image, deviation, truncate=2.0)
    if random.random() < 0.25:
        return scene.image + spot * (scene.image - blurred) * random.uniform(0.7, 2)
    return scene.image * (1 - spot) + blurred * spot


def _warp(random: Random, _: Product, scene: Scene) -> Array:
    """What is on the piece pulled aside or turned in a spot."""
    row, column = _point(random, scene)
    spot = blob_mask(random, row=row, column=column, radius=log_uniform(random, 7, 26))
    spot = gaussian_filter(spot, random.choice((0.5, 3)))
    x, y = COLUMNS + _MIDDLE - column, ROWS + _MIDDLE - row
    dx, dy = random.uniform(-12, 12, 2)
    if random.random() < 0.5:
        turn = random.uniform(0.4, 1.6)
        dx = x * np.cos(turn) - y * np.sin(turn) - x
        dy = y * np.cos(turn) + x * np.sin(turn) - y
    where = (ROWS + _MIDDLE + spot * dy, COLUMNS + _MIDDLE + spot * dx)
    planes = [
        map_coordinates(scene.image[..., k], where, order=1, mode="reflect") for k in range(3)
    ]
    return np.stack(planes, axis=2).astype(np.float32)


def _specks(random: Random, product: Product, scene: Scene) -> Array:
    """Pores or splashes close together."""
    spot = _somewhere(random, scene, radius=log_uniform(random, 6, 24))
    grains = smooth_noise(random, log_uniform(random, 0.5, 2)) > random.uniform(1, 2)
    dots = gaussian_filter((grains * spot).astype(np.float32), 0.5)
    return scene.image + dots[..., None] * _tone(random, product, scene, low=0.1)


def _chip(random: Random, product: Product, scene: Scene) -> Array:
    """A piece broken out of the edge."""
    edge = np.argwhere(np.abs(scene.cover - 0.5) < 0.45)
    if not len(edge):
        return _hole(random, product, scene)
    row, column = edge[random.integers(len(edge))]
    radius = log_uniform(random, 2.5, 14)
    gone = blob_mask(random, row=float(row), column=float(column), radius=radius)[..., None]
    return scene.image * (1 - gone) + scene.background * gone


def _part_defect(random: Random, product: Product, scene: Scene, seed: int) -> Array:
    """A part missing, moved, or one too many: what was drawn anew differs there alone."""
    index = int(random.integers(len(product.parts)))
    if random.random() < 0.5:
        other = product.render(seed, without=index)
    else:
        dx, dy = random.choice((-1, 1), 2) * random.uniform(3, 20, 2)
        other = product.render(seed, moved=(index, float(dx), float(dy)))
    return scene.image + (other.image - product.render(seed).image)
