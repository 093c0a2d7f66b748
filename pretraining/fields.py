"""Procedural textures: each has fixed traits, and draws as many pieces as are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Array = npt.NDArray[Any]
Random = np.random.Generator
Field = Callable[[Random], Array]
"""Draws one piece, (SIDE, SIDE) float32 of mean 0 and deviation 1, from the traits of a texture."""

SIDE = 128
"""Pixels of a drawn picture's sides."""

ROWS, COLUMNS = (a.astype(np.float32) for a in np.mgrid[:SIDE, :SIDE] - np.float32((SIDE - 1) / 2))
_FY = np.fft.fftfreq(SIDE)[:, None].astype(np.float32)
_FX = np.fft.rfftfreq(SIDE)[None, :].astype(np.float32)


def log_uniform(random: Random, low: float, high: float) -> float:
    """Return a number between two positive ones, as likely below their geometric mean as above."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def standardised(values: npt.NDArray[np.floating]) -> Array:
    """Return values of mean 0 and deviation 1, cut off at four deviations."""
    centred = values - values.mean()
    scaled = centred / (centred.std() + 1e-6)
    return np.clip(scaled, -4, 4).astype(np.float32)


def filtered_noise(random: Random, spectrum: Array) -> Array:
    """Return white noise filtered to a spectrum, (SIDE, SIDE // 2 + 1), standardised."""
    noise = np.fft.rfft2(random.standard_normal((SIDE, SIDE), dtype=np.float32))
    return standardised(np.fft.irfft2(noise * spectrum, s=(SIDE, SIDE)))


def smooth_noise(random: Random, size: float) -> Array:
    """Return standardised noise whose features are about `size` pixels wide."""
    return filtered_noise(random, np.exp(-((_FX**2 + _FY**2) * (2.5 * size) ** 2)))


def draw_field(random: Random) -> Field:
    """Draw the traits of a texture: one kind, or two kinds joined."""
    first = _draw_plain(random)
    if random.random() < 0.55:
        return first
    second = _draw_plain(random)
    weight = random.uniform(0.3, 1)
    join = random.integers(3)

    def piece(instance: Random) -> Array:
        a, b = first(instance), second(instance)
        if join == 0:
            return standardised(a + weight * b)
        if join == 1:
            return standardised(a * (1 / (1 + np.exp(-3 * b))))
        return standardised(np.where(b > weight - 0.5, a, a * 0.2 + b * 0.5))

    return piece


def _draw_plain(random: Random) -> Field:
    kinds = (_power_law, _band, _lattice, _cells, _scatter, _brushed, _weave)
    return kinds[random.choice(len(kinds), p=(0.2, 0.14, 0.14, 0.14, 0.18, 0.1, 0.1))](random)


def _rotated(random: Random, stretch: float) -> tuple[Array, Array]:
    """Return frequencies in a turned frame, the second of them stretched."""
    angle = random.choice((0.0, np.pi / 2, random.uniform(0, np.pi)))
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * _FX + s * _FY, stretch * (c * _FY - s * _FX)


def _bent(random: Random, field: Field) -> Field:
    """Return a field with a non-linearity on it: ridges, blotches, spikes, or none."""
    bend = random.choice(5, p=(0.45, 0.15, 0.2, 0.1, 0.1))
    level, slope = random.uniform(-1.2, 1.2), log_uniform(random, 1, 12)

    def piece(instance: Random) -> Array:
        values = field(instance)
        match bend:
            case 1:
                values = np.abs(values)
            case 2:
                values = np.tanh(slope * (values - level))
            case 3:
                values = np.exp(values)
            case 4:
                values = np.minimum(values, level)
        return standardised(values)

    return piece


def _power_law(random: Random) -> Field:
    """Noise of power 1 / f**a, stretched in some direction or in none."""
    fx, fy = _rotated(random, log_uniform(random, 1, 4))
    knee = log_uniform(random, 0.004, 0.1)
    spectrum = ((fx**2 + fy**2) + knee**2) ** np.float32(-random.uniform(0.2, 1.7))
    return _bent(random, lambda instance: filtered_noise(instance, spectrum))


def _band(random: Random) -> Field:
    """Gabor noise: a ring or two lobes of the spectrum."""
    frequency = log_uniform(random, 0.02, 0.35)
    width = frequency * random.uniform(0.1, 0.5)
    fx, fy = _rotated(random, 1)
    if random.random() < 0.5:
        spectrum = np.exp(-((np.hypot(fx, fy) - frequency) ** 2) / (2 * width**2))
    else:
        spectrum = np.exp(-((np.abs(fx) - frequency) ** 2 + fy**2) / (2 * width**2))
    return _bent(random, lambda instance: filtered_noise(instance, spectrum))


def _brushed(random: Random) -> Field:
    """Long fine streaks of one direction, as of brushed or ground metal."""
    fx, fy = _rotated(random, log_uniform(random, 8, 60))
    spectrum = ((fx**2 + fy**2) + 0.02**2) ** np.float32(-random.uniform(0.2, 0.9))
    return lambda instance: filtered_noise(instance, spectrum)


def _wave(kind: int, phase: Array, width: float) -> Array:
    """Return a wave of period 1: sine, soft square, saw, or narrow pulses."""
    offset = phase - np.floor(phase) - 0.5
    match kind:
        case 0:
            return np.sin(2 * np.pi * phase)
        case 1:
            return np.tanh(4 * np.sin(2 * np.pi * phase))
        case 2:
            return offset
        case _:
            return np.exp(-((offset / width) ** 2))


def _lattice(random: Random) -> Field:
    """Stripes, grids, checks and lattices of dots, straight or a little bent."""
    period = log_uniform(random, 4, 48)
    angle = random.choice((0.0, np.pi / 2, random.uniform(0, np.pi)))
    other = angle + random.choice((np.pi / 2, np.pi / 3))
    ratio = random.choice((1.0, random.uniform(0.5, 2)))
    kinds, width, join = random.integers(4, size=2), random.uniform(0.05, 0.25), random.integers(4)
    bend = random.choice((0.0, log_uniform(random, 0.02, 0.3)))

    def piece(instance: Random) -> Array:
        jitter = bend * smooth_noise(instance, 12) if bend else np.float32(0)
        a, b = (
            _wave(
                int(kind),
                (COLUMNS * np.cos(turn) + ROWS * np.sin(turn)) / p + jitter + instance.random(),
                width,
            )
            for kind, turn, p in zip(kinds, (angle, other), (period, period * ratio), strict=True)
        )
        return standardised((a, a * b, np.maximum(a, b), a + b)[join])

    return piece


def _weave(random: Random) -> Field:
    """Threads over and under each other, each of its own tone."""
    period = log_uniform(random, 5, 24)
    skip, noise = random.integers(1, 4), random.uniform(0, 0.5)

    def piece(instance: Random) -> Array:
        u = (COLUMNS / period + instance.random() + 50).astype(np.float32)
        v = (ROWS / period + instance.random() + 50).astype(np.float32)
        column: Array = np.floor(u).astype(int)
        row: Array = np.floor(v).astype(int)
        over = (column + skip * row) % (skip + 1) == 0
        tones: Array = np.asarray(noise * instance.standard_normal((2, 128)))
        warp = np.sin(np.pi * (u - column)) * (1 - 0.4 * np.cos(np.pi * (v - row)))
        weft = np.sin(np.pi * (v - row)) * (1 - 0.4 * np.cos(np.pi * (u - column)))
        return standardised(
            np.where(over, warp + tones[0][column % 128], 0.7 * weft + tones[1][row % 128])
        )

    return piece


def _cells(random: Random) -> Field:
    """Grains: cells of a tone each, with or without borders, stretched or not."""
    count = int(log_uniform(random, 12, 700))
    stretch, kind = log_uniform(random, 1, 3), random.integers(4)
    width = log_uniform(random, 0.6, 4)

    def piece(instance: Random) -> Array:
        points = instance.uniform(-SIDE * 0.55, SIDE * 0.55, (count, 2)) * (1, stretch)
        where = np.stack([COLUMNS.ravel(), ROWS.ravel() * stretch], axis=1)
        distances, nearest = (np.asarray(found) for found in cKDTree(points).query(where, k=2))
        tone = instance.standard_normal(count)[nearest[:, 0]]
        border = np.exp(-(distances[:, 1] - distances[:, 0]) / width)
        values = (tone, border, distances[:, 0], tone - 1.5 * border)[kind]
        return standardised(values.reshape(SIDE, SIDE))

    return piece


def _scatter(random: Random) -> Field:
    """Spots, rings or fibres strewn at random."""
    density = log_uniform(random, 0.0015, 0.06)
    kernels = _kernels(random)
    signs = random.choice((0.0, 1.0, 0.5))

    def piece(instance: Random) -> Array:
        total = np.zeros((SIDE, SIDE // 2 + 1), dtype=np.complex64)
        for kernel in kernels:
            hit = instance.random((SIDE, SIDE), dtype=np.float32) < density / len(kernels)
            sign = np.where(instance.random((SIDE, SIDE), dtype=np.float32) < signs, -1, 1)
            strength = instance.random((SIDE, SIDE), dtype=np.float32) + 0.3
            total += np.fft.rfft2(hit * sign * strength) * kernel
        return standardised(np.fft.irfft2(total, s=(SIDE, SIDE)))

    return piece


def _kernels(random: Random) -> list[npt.NDArray[np.complex64]]:
    size = log_uniform(random, 0.6, 3.5)
    kind = random.integers(3)
    radius = np.hypot(ROWS, COLUMNS)
    if kind == 0:
        shapes = [np.exp(-((radius / size) ** 2))]
    elif kind == 1:
        shapes = [np.exp(-(((radius - 2 * size) / size) ** 2))]
    else:
        length = log_uniform(random, 4, 40)
        base = random.uniform(0, np.pi)
        spread = random.choice((0.0, 0.2, np.pi))
        shapes = []
        for turn in base + spread * random.uniform(-0.5, 0.5, 3):
            along = COLUMNS * np.cos(turn) + ROWS * np.sin(turn)
            across = ROWS * np.cos(turn) - COLUMNS * np.sin(turn)
            thin = np.exp(-((across / (0.4 * size)) ** 2))
            shapes.append(thin * (np.abs(along) < length / 2))
    return [np.fft.rfft2(np.fft.ifftshift(shape)).astype(np.complex64) for shape in shapes]
