"""What is asked of the features: that defects lie further from the references than all else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from pretraining.episodes import DEFECTIVES, NORMALS, PICTURES, REFERENCES

_SLOPE = 4.0
_HARDEST = 0.1
_TOP = 0.01


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What each patch of the queries of one episode is; (queries, patches) each."""

    defective: torch.Tensor
    normal: torch.Tensor


def embed(maps: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Return (B, patches, C) of both maps joined, and of each alone, as the detector joins them."""
    grid = maps[0].shape[-2:]
    joined = []
    for one in maps:
        mean = functional.avg_pool2d(one.float(), 3, stride=1, padding=1, count_include_pad=False)
        if mean.shape[-2:] != grid:
            mean = functional.interpolate(mean, grid, mode="bilinear", align_corners=False)
        joined.append(mean.flatten(2).transpose(1, 2))
    return [torch.cat(joined, dim=2), *joined]


def label_patches(masks: torch.Tensor, grid: tuple[int, int]) -> Labels:
    """Label the patches of an episode's queries from masks (DEFECTIVES, SIDE, SIDE).

    A patch beside a defective one is neither: the average over 3 x 3 patches reaches it.
    """
    share = functional.adaptive_avg_pool2d(masks[:, None].float(), grid)
    peak = share.amax(dim=(2, 3), keepdim=True)
    defective = share > torch.clamp(0.5 * peak, max=0.12)
    touched = functional.max_pool2d((share > 0).float(), 5, stride=1, padding=2) > 0
    none = torch.zeros(NORMALS, grid[0] * grid[1], dtype=torch.bool)
    return Labels(
        defective=torch.cat([none, defective.flatten(1)]),
        normal=torch.cat([~none, ~touched.flatten(1)]),
    )


def nearest(queries: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of the distance of each query (n, C) to its nearest reference."""
    with torch.no_grad():
        product = queries.bfloat16() @ references.bfloat16().T
        index = ((references**2).sum(1) - 2 * product).argmin(dim=1)
    return 0.5 * torch.log(((queries - references[index]) ** 2).sum(1) + 1e-6)


def episode_loss(
    rows: torch.Tensor, labels: Labels, foreign: torch.Tensor, *, turn: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of one episode, and the AUROC of its patches.

    Args:
        rows: (PICTURES, patches, C) embeddings.
        labels: of the queries' patches.
        foreign: (n, C) patches of other products.
        turn: 0 or 1, which half of the references' patches to take.
    """
    references = rows[:REFERENCES].flatten(0, 1)[turn::2]
    queries = rows[REFERENCES:]
    far = nearest(queries.flatten(0, 1), references).view(NORMALS + DEFECTIVES, -1)
    normal, defective = far[labels.normal], far[labels.defective]
    hardest = normal.topk(max(1, int(_HARDEST * len(normal)))).values
    patches = functional.softplus(_SLOPE * (hardest[None, :] - defective[:, None])).mean()
    top = max(1, round(_TOP * far.shape[1]))
    scores = far.topk(top, dim=1).values.mean(1)
    pairs = scores[:NORMALS, None] - scores[None, NORMALS:]
    images = functional.softplus(_SLOPE * pairs).mean()
    others = nearest(foreign, references)
    strangers = functional.softplus(_SLOPE * (hardest[None, :] - others[:, None])).mean()
    right = (normal[None, ::3] < defective[:, None]).float().mean()
    return patches + images + 0.25 * strangers, right


def batch_loss(
    maps: tuple[torch.Tensor, ...], masks: torch.Tensor, *, turn: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of a batch of episodes, and the AUROC of its patches.

    Args:
        maps: of (episodes * PICTURES) pictures.
        masks: (episodes, DEFECTIVES, SIDE, SIDE).
        turn: 0 or 1, which half of the references' patches to take.
    """
    grid = (int(maps[0].shape[-2]), int(maps[0].shape[-1]))
    labels = [label_patches(mask, grid) for mask in masks]
    total = torch.zeros(())
    accuracy = torch.zeros(())
    for index, (rows, weight) in enumerate(zip(embed(maps), (1.0, 0.3, 0.3), strict=True)):
        by_episode = rows.view(len(masks), PICTURES, *rows.shape[1:])
        for k, episode in enumerate(by_episode):
            other = by_episode[(k + 1) % len(masks), REFERENCES].detach()
            loss, right = episode_loss(episode, labels[k], other[::8], turn=turn)
            total = total + weight * loss / len(masks)
            if index == 0:
                accuracy += right / len(masks)
        total = total + 0.02 * weight * redundancy(rows)
    return total, accuracy


def redundancy(rows: torch.Tensor) -> torch.Tensor:
    """Return how much the channels say the same, from 0: mean squared correlation, times C.

    Source: Bardes et al., "VICReg", ICLR 2022, section 4.1.
    """
    sample = rows.flatten(0, 1)[::7]
    centred = (sample - sample.mean(0)) / (sample.std(0) + 1e-4)
    correlation = centred.T @ centred / len(centred)
    off = correlation - torch.diag(torch.diag(correlation))
    return (off**2).sum() / len(correlation)
