"""What is asked of the features, all of it in distances to the nearest normal patch.

Defective patches shall lie further from the references of their product than the hardest tenth of
the normal ones; each normal patch nearer to its own product's references than to any other's, which
is what makes fine texture count; and channels shall not say the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from pretraining.episodes import DEFECTIVES, NORMALS, PICTURES, REFERENCES

QUERIES = NORMALS + DEFECTIVES

_SLOPE = 4.0
_LEAST = 2e-3
"""Mean square of a difference under which differences say little."""
_HARDEST = 0.1
_OWN, _MARGIN = 0.4, 1.0
_REDUNDANCY = 0.03
_BOTH, _ALONE = 1.0, 0.3
"""Weights of the maps joined, and of each alone."""
_FEWEST = 20
"""Normal patches without which an episode says nothing."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What each patch of the queries of the episodes is; (episodes, queries * patches) each.

    A patch beside a defective one is neither: the average over 3 x 3 patches reaches it.
    """

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
    """Label the patches of the queries from masks (episodes * QUERIES, side, side)."""
    share = functional.adaptive_avg_pool2d(masks[:, None], grid)
    peak = share.amax(dim=(2, 3), keepdim=True)
    defective = share > torch.clamp(0.5 * peak, max=0.12)
    touched = functional.max_pool2d((share > 0).float(), 5, stride=1, padding=2) > 0
    patches = QUERIES * grid[0] * grid[1]
    return Labels(defective=defective.view(-1, patches), normal=~touched.view(-1, patches))


def batch_loss(
    maps: tuple[torch.Tensor, ...], masks: torch.Tensor, *, turn: int = 0
) -> tuple[torch.Tensor, float]:
    """Return the loss of a batch of episodes, and the AUROC of its patches.

    Args:
        maps: of (episodes * PICTURES) pictures.
        masks: of their queries, (episodes * QUERIES, side, side).
        turn: 0 or 1, which half of the references' patches to take.
    """
    labels = label_patches(masks, (int(maps[0].shape[-2]), int(maps[0].shape[-1])))
    joined, *alone = embed(maps)
    loss, auroc = _maps_loss(joined, labels, turn=turn, products=True)
    total = torch.zeros(()) + _BOTH * loss
    for rows in alone:
        total = total + _ALONE * _maps_loss(rows, labels, turn=turn, products=False)[0]
    return total, auroc


def _maps_loss(
    rows: torch.Tensor, labels: Labels, *, turn: int, products: bool
) -> tuple[torch.Tensor, float]:
    by_episode = rows.view(-1, PICTURES, *rows.shape[1:])
    references = by_episode[:, :REFERENCES].flatten(1, 2)[:, turn::2]
    queries = by_episode[:, REFERENCES:].flatten(1, 2)
    far = _own_distances(queries, references)
    hardest = [_hardest(one[normal]) for one, normal in zip(far, labels.normal, strict=True)]
    defects, auroc = _defects_loss(far, hardest, labels)
    own = torch.zeros(())
    if products:
        few = slice(turn, None, 4)
        distances = [one[few] for one in far]
        own = _products_loss(
            queries[:, few], references[:, turn::8], distances, hardest, labels.normal[:, few]
        )
    return defects + _OWN * own + _REDUNDANCY * redundancy(rows), auroc


def _own_distances(queries: torch.Tensor, references: torch.Tensor) -> list[torch.Tensor]:
    with torch.no_grad():
        product = torch.bmm(queries.bfloat16(), references.bfloat16().transpose(1, 2)).float()
        nearest = ((references * references).sum(2)[:, None] - 2 * product).argmin(2)
    return [_log_distance(*one) for one in zip(queries, references, nearest, strict=True)]


def _log_distance(
    queries: torch.Tensor, references: torch.Tensor, nearest: torch.Tensor
) -> torch.Tensor:
    return 0.5 * torch.log(((queries - references[nearest]) ** 2).mean(1) + _LEAST)


def _hardest(normal: torch.Tensor) -> torch.Tensor | None:
    """Return the distances of the hardest tenth of normal patches, if there are patches enough."""
    if len(normal) < _FEWEST:
        return None
    return normal.topk(max(1, int(_HARDEST * len(normal)))).values


def _defects_loss(
    far: list[torch.Tensor], hardest: list[torch.Tensor | None], labels: Labels
) -> tuple[torch.Tensor, float]:
    losses, right = [], []
    for one, hard, defects, normals in zip(
        far, hardest, labels.defective, labels.normal, strict=True
    ):
        defective = one[defects]
        if hard is None or len(defective) < 2:
            continue
        losses.append(functional.softplus(_SLOPE * (hard[None] - defective[:, None])).mean())
        normal = one[normals].detach()
        right.append((normal[None, ::3] < defective.detach()[:, None]).float().mean().item())
    if not losses:
        return torch.zeros(()), 0.5
    return torch.stack(losses).mean(), sum(right) / len(right)


def _products_loss(
    queries: torch.Tensor,
    references: torch.Tensor,
    far: list[torch.Tensor],
    hardest: list[torch.Tensor | None],
    normals: torch.Tensor,
) -> torch.Tensor:
    """Ask that the nearest patch of all other products lie further than the product's own."""
    rows, each = references.flatten(0, 1), references.shape[1]
    with torch.no_grad():
        product = (queries.bfloat16() @ rows.bfloat16().T).float()
        distances = (rows * rows).sum(1)[None, None] - 2 * product
        for index, one in enumerate(distances):
            one[:, index * each : (index + 1) * each] = torch.inf
        nearest = distances.argmin(2)
    total = torch.zeros(())
    for index, hard in enumerate(hardest):
        if hard is None:
            continue
        others = _log_distance(queries[index], rows, nearest[index])[normals[index]]
        own = far[index][normals[index]]
        total = total + functional.softplus(_SLOPE * (own - others) + _MARGIN).mean()
        harder = functional.softplus(_SLOPE * (hard[None, ::2] - others[:, None])).mean()
        total = total + 0.5 * harder
    return total / len(hardest)


def redundancy(rows: torch.Tensor) -> torch.Tensor:
    """Return how much the channels say the same, from 0: mean squared correlation, times C.

    Source: Bardes et al., "VICReg", ICLR 2022, section 4.1.
    """
    sample = rows.flatten(0, 1)[::7]
    centred = (sample - sample.mean(0)) / (sample.std(0) + 1e-3)
    correlation = centred.T @ centred / len(centred)
    off = correlation - torch.diag(torch.diag(correlation))
    return (off**2).sum() / len(correlation)
