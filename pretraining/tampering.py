"""Changes of a region beside the drawn defects, so that no list of defects is learned by heart."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from pretraining.fields import Random, log_uniform

_VISIBLE = 0.015
_LEAST = 6
"""Pixels of a region under which nothing is changed."""


def tamper(
    picture: torch.Tensor,
    foreign: torch.Tensor,
    random: Random,
    *,
    shapes: list[npt.NDArray[np.bool_]],
    strength: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Change a region of a picture; return it, and the (h, w) mask of what is visibly changed.

    Args:
        picture: (3, h, w) from 0 to 1.
        foreign: of another product.
        random: decides everything.
        shapes: masks that a region may have the shape of.
        strength: from 0 to 1, of what is added.
    """
    region = _region(random, shapes, int(picture.shape[-1]))
    if region.sum() < _LEAST:
        return picture, torch.zeros_like(region)
    other = _other(picture, foreign, region, random, strength)
    soft = region[None]
    if random.random() < 0.7:
        soft = functional.avg_pool2d(soft[None], 3, 1, 1)[0]
    changed = picture + soft * random.uniform(0.35, 1) * (other - picture)
    visible = (changed - picture).abs().amax(0) > _VISIBLE
    return changed.clamp(0, 1), visible.float() * region


def _region(random: Random, shapes: list[npt.NDArray[np.bool_]], side: int) -> torch.Tensor:
    """Return a mask: of a drawn defect elsewhere, of the peaks of a cloud, or an ellipse."""
    kind = random.random()
    if kind < 0.4:
        mask = torch.from_numpy(shapes[random.integers(len(shapes))].astype(np.float32))
        shift = (int(random.integers(side)), int(random.integers(side)))
        mask = torch.roll(mask, shift, (0, 1))[:side, :side]
        return mask.flip(0) if random.random() < 0.5 else mask
    if kind < 0.75:
        coarse = int(random.integers(3, 9))
        values = random.standard_normal((1, 1, coarse, coarse)).astype(np.float32)
        cloud = functional.interpolate(torch.from_numpy(values), (side, side), mode="bicubic")[0, 0]
        share = log_uniform(random, 0.006, 0.12)
        return (cloud > torch.quantile(cloud.flatten(), 1 - share)).float()
    turn, long = random.uniform(0, math.pi), random.uniform(3, 14)
    short = max(1.5, long * random.uniform(0.15, 1))
    places = torch.arange(side).float()
    y, x = torch.meshgrid(places, places, indexing="ij")
    y, x = y - random.uniform(0, side), x - random.uniform(0, side)
    along = x * math.cos(turn) + y * math.sin(turn)
    across = -x * math.sin(turn) + y * math.cos(turn)
    return ((along / long) ** 2 + (across / short) ** 2 < 1).float()


def _other(
    picture: torch.Tensor,
    foreign: torch.Tensor,
    region: torch.Tensor,
    random: Random,
    strength: float,
) -> torch.Tensor:
    """Return what is put into the region: most often the picture itself, changed."""
    side = int(picture.shape[-1])
    kind = random.random()
    if kind < 0.22:
        return foreign
    if kind < 0.36:
        return _shifted(picture, random, 4, side - 4)
    if kind < 0.56:
        shape = (3, 1, 1) if random.random() < 0.4 else (1, 1, 1)
        tint = random.normal(0, 0.22, shape).astype(np.float32)
        return picture + strength * torch.from_numpy(tint)
    if kind < 0.68:
        return functional.avg_pool2d(picture[None], 5, 1, 2, count_include_pad=False)[0]
    if kind < 0.8:
        grain = strength * random.uniform(0.05, 0.25)
        noise = random.standard_normal((1, side, side), dtype=np.float32)
        return picture + grain * torch.from_numpy(noise)
    if kind < 0.9:
        return _shifted(picture, random, -5, 6)
    mean = (picture * region).sum((1, 2), keepdim=True) / region.sum()
    return mean + (picture - mean) * float(random.choice([-0.8, 0.2, 1.9]))


def _shifted(picture: torch.Tensor, random: Random, low: int, high: int) -> torch.Tensor:
    shift = (int(random.integers(low, high)), int(random.integers(low, high)))
    return torch.roll(picture, shift, (1, 2))
