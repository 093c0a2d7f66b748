"""Outlines of parts and of defects, as signed distances and as masks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from pretraining.fields import COLUMNS, ROWS, SIDE, Array, Random, log_uniform, smooth_noise

Outline = Callable[[Array, Array], Array]
"""Maps coordinates, in units of the part's size, to a signed distance: below 0 inside."""

_FINER = 2


def draw_outline(random: Random) -> Outline:
    """Draw a form: disc, ring, box, polygon, flower or cross."""
    kind = random.choice(6, p=(0.22, 0.12, 0.24, 0.16, 0.18, 0.08))
    sides, hole = int(random.integers(3, 9)), random.uniform(0.3, 0.8)
    aspect, depth = random.uniform(0.25, 1), random.uniform(0.05, 0.3)
    waves = random.normal(0, 1, (5, 2)) * (0.12 / np.arange(1, 6)[:, None])

    def outline(x: Array, y: Array) -> Array:
        radius = np.hypot(x, y)
        match kind:
            case 0:
                return radius - 1
            case 1:
                return np.abs(radius - (1 + hole) / 2) - (1 - hole) / 2
            case 2:
                return np.maximum(np.abs(x) - 1, np.abs(y) - np.float32(aspect))
            case 3:
                turn = np.arctan2(y, x) % (2 * np.pi / sides) - np.pi / sides
                return radius * np.cos(turn) - np.float32(np.cos(np.pi / sides))
            case 4:
                return radius - _flower(np.arctan2(y, x), sides, depth, waves)
            case _:
                thin = 0.5 * aspect
                a = np.maximum(np.abs(x) - 1, np.abs(y) - thin)
                return np.minimum(a, np.maximum(np.abs(y) - 1, np.abs(x) - thin))

    return outline


def _flower(turn: Array, sides: int, depth: float, waves: Array) -> Array:
    if sides % 2:
        return 1 + depth * np.cos(sides * turn)
    radius = np.ones_like(turn)
    for k, (a, b) in enumerate(waves, start=1):
        radius += a * np.cos(k * turn) + b * np.sin(k * turn)
    return radius


def blob_mask(random: Random, *, row: float, column: float, radius: float) -> Array:
    """Return a spot of ragged outline, (SIDE, SIDE) from 0 to 1, around a point."""
    stretch, turn = log_uniform(random, 1, 2.5), random.uniform(0, np.pi)
    x, y = COLUMNS + (SIDE - 1) / 2 - column, ROWS + (SIDE - 1) / 2 - row
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    distance = np.hypot(u / stretch**0.5, v * stretch**0.5)
    ragged = random.uniform(0, 0.5) * radius * smooth_noise(random, max(2.0, radius * 0.6))
    soft = random.choice((0.7, log_uniform(random, 0.7, max(1.0, radius))))
    return np.clip((radius - distance + ragged) / soft + 0.5, 0, 1).astype(np.float32)


def stroke_mask(random: Random, *, row: float, column: float, length: float, width: float) -> Array:
    """Return a line, (SIDE, SIDE) from 0 to 1: straight, bent or jagged, perhaps branching."""
    canvas = Image.new("L", (SIDE * _FINER, SIDE * _FINER))
    pen = ImageDraw.Draw(canvas)
    jagged = random.choice((0.02, 0.15, 0.5))
    branches = random.choice((1, 1, 1, 2, 3))
    start = np.array([column, row]) * _FINER
    for branch in range(branches):
        points = _walk(random, start, length * _FINER / (1 + branch), jagged)
        pen.line([tuple(p) for p in points], fill=255, width=max(1, round(width * _FINER)))
        start = points[random.integers(len(points))]
    mask = np.asarray(canvas.reduce(_FINER), dtype=np.float32) / 255
    soft = random.choice((0.0, 0.6, 1.0))
    return np.asarray(gaussian_filter(mask, soft)) if soft else mask


def _walk(random: Random, start: np.ndarray, length: float, jagged: float) -> list[np.ndarray]:
    """Return points of a way that wanders from its direction, on both sides of its start."""
    steps = max(3, int(length / 6))
    turns = random.uniform(0, 2 * np.pi) + np.cumsum(random.normal(0, jagged, steps))
    moves = np.stack([np.cos(turns), np.sin(turns)], axis=1) * length / steps
    way = np.cumsum(moves, axis=0)
    return list(start + way - way[steps // 2])
