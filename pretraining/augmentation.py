"""What is varied each time an episode is shown: turn, detail, contrast, light, place, noise.

Some of it is alike in all pictures of an episode, and makes another product of it. The rest differs
from picture to picture, as between normal pieces, and is what the features shall not mind.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from pretraining.episodes import DEFECTIVES, NORMALS, PICTURES, REFERENCES, Episode
from pretraining.fields import SIDE, Random, log_uniform
from pretraining.tampering import tamper

_LEAST_SIDE = 64
_LEAST_STRENGTH = 0.3
"""Of what is added to the faintest pictures."""


def vary(
    episode: Episode,
    foreign: npt.NDArray[np.uint8],
    random: Random,
    *,
    shapes: list[npt.NDArray[np.bool_]],
    side: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pictures (PICTURES, 3, side, side) from 0 to 1, and the masks of the queries.

    Args:
        episode: as it was drawn.
        foreign: a picture of another product, of which pieces are put into normal pictures.
        random: decides everything.
        shapes: masks that such pieces may have the shape of.
        side: pixels of the pictures returned.
    """
    pictures, masks = _cut_out(*_turned(episode, random), random, side)
    if random.random() < 0.2:
        pictures, masks = _moved(pictures, masks, random)
    if random.random() < 0.15:
        pictures = pictures.mean(1, keepdim=True).expand(-1, 3, -1, -1).contiguous()
    other = torch.from_numpy(foreign).permute(2, 0, 1).float()[:, :side, :side] / 255
    strength = 1.0
    if random.random() < 0.35:
        pictures, other, strength = _faint(pictures, other, random)
    tampered = torch.zeros(NORMALS, side, side)
    for index in range(NORMALS):
        if random.random() < 0.75:
            pictures[REFERENCES + index], tampered[index] = tamper(
                pictures[REFERENCES + index], other, random, shapes=shapes, strength=strength
            )
    return _photographed(pictures, random, side), torch.cat([tampered, masks])


def _turned(episode: Episode, random: Random) -> tuple[torch.Tensor, torch.Tensor]:
    """Return an episode mirrored, turned, in other colours or negative, all pictures alike."""
    pictures, masks = episode.pictures, episode.masks
    across, down, turn, negative = random.random(4)
    if across < 0.5:
        pictures, masks = pictures[:, :, ::-1], masks[:, :, ::-1]
    if down < 0.5:
        pictures, masks = pictures[:, ::-1], masks[:, ::-1]
    if turn < 0.5:
        pictures, masks = pictures.swapaxes(1, 2), masks.swapaxes(1, 2)
    pictures = np.ascontiguousarray(pictures[..., random.permutation(3)])
    planes = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    if negative < 0.25:
        planes = 1 - planes
    return planes, torch.from_numpy(np.ascontiguousarray(masks)).float()


def _cut_out(
    pictures: torch.Tensor, masks: torch.Tensor, random: Random, side: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut out the same square of all pictures, half of the time brought to another size."""
    taken = side
    if random.random() >= 0.5:
        taken = int(random.integers(max(_LEAST_SIDE, int(0.7 * side)), SIDE + 1))
    top, left = int(random.integers(0, SIDE + 1 - taken)), int(random.integers(0, SIDE + 1 - taken))
    pictures = pictures[:, :, top : top + taken, left : left + taken]
    masks = masks[:, top : top + taken, left : left + taken]
    if taken == side:
        return pictures, masks
    pictures = functional.interpolate(
        pictures, (side, side), mode="bilinear", align_corners=False, antialias=taken > side
    )
    return pictures, functional.interpolate(masks[:, None], (side, side), mode="area")[:, 0]


def _moved(
    pictures: torch.Tensor, masks: torch.Tensor, random: Random
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give each picture a place, size and turn of its own."""
    scale, turn = np.exp(random.normal(0, 0.1, PICTURES)), random.normal(0, 0.15, PICTURES)
    shift = random.normal(0, 0.06, (PICTURES, 2))
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    upper, lower = (cosine, -sine, shift[:, 0]), (sine, cosine, shift[:, 1])
    matrices = np.stack([np.stack(upper, 1), np.stack(lower, 1)], 1).astype(np.float32)
    side = pictures.shape[-1]
    grid = functional.affine_grid(
        torch.from_numpy(matrices), [PICTURES, 1, side, side], align_corners=False
    )
    pictures = functional.grid_sample(
        pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    queries = grid[PICTURES - DEFECTIVES :]
    moved = functional.grid_sample(
        masks[:, None], queries, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return pictures, moved[:, 0]


def _faint(
    pictures: torch.Tensor, foreign: torch.Tensor, random: Random
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Squeeze the contrast of all pictures alike; return by how much what is added is weaker."""
    share = log_uniform(random, 0.12, 0.6)
    mean = pictures.mean((0, 2, 3), keepdim=True)
    grey = random.uniform(0.2, 0.8)
    pictures = (pictures - mean) * share + (mean * 0.3 + grey * 0.7)
    foreign = (foreign - foreign.mean((1, 2), keepdim=True)) * share
    foreign = foreign + pictures[0].mean((1, 2), keepdim=True)
    return pictures, foreign, max(_LEAST_STRENGTH, share)


def _photographed(pictures: torch.Tensor, random: Random, side: int) -> torch.Tensor:
    """Give each picture light and noise of its own, and all of them one tone curve and lens."""
    if random.random() < 0.6:
        spread = random.uniform(0.02, 0.12)
        gain = np.exp(random.normal(0, spread, (PICTURES, 1, 1, 1))).astype(np.float32)
        offset = random.normal(0, spread * 0.35, (PICTURES, 1, 1, 1)).astype(np.float32)
        pictures = pictures * torch.from_numpy(gain) + torch.from_numpy(offset)
    if random.random() < 0.25:
        spread, coarse = random.uniform(0.03, 0.15), int(random.integers(2, 5))
        values = random.normal(0, spread, (PICTURES, 1, coarse, coarse)).astype(np.float32)
        light = functional.interpolate(
            torch.from_numpy(values), (side, side), mode="bicubic", align_corners=True
        )
        pictures = pictures * torch.exp(light)
    if random.random() < 0.3:
        pictures = pictures.clamp(0, 1) ** float(np.exp(random.normal(0, 0.3)))
    if random.random() < 0.5:
        shape = (PICTURES, 1 if random.random() < 0.5 else 3, side, side)
        noise = torch.from_numpy(random.standard_normal(shape, dtype=np.float32))
        pictures = pictures + noise * random.uniform(0.002, 0.025)
    if random.random() < 0.25:
        pictures = functional.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
    return pictures.clamp(0, 1)
