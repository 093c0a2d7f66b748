"""Whitening: distances in which what differs between normal pieces counts for less.

Along a direction in which patches of normal pieces differ from the references much, a difference
says little. The last convolution of each map is multiplied by the inverse square root of the
covariance of these differences, so that the detector's plain distance is one of Mahalanobis.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import functional

from pretraining.episodes import NORMALS, REFERENCES
from pretraining.network import Network
from pretraining.pool import load_episode
from pretraining.train import as_input

Head = tuple[torch.Tensor, torch.Tensor]
"""Weights (C, C, 1, 1) and bias (C,) of a 1 x 1 convolution."""

_EPISODES = range(5000, 5120)
_FLOOR = 0.3
"""Share of the mean variance that is added to each variance."""


def whitened_heads(network: Network, *, pool: Path) -> list[Head]:
    """Return the heads of a network, whitened by the normal pictures of drawn episodes."""
    heads = []
    for head, covariance in zip(network.heads, _differences(network, pool), strict=True):
        variances, axes = torch.linalg.eigh(covariance)
        scales = (variances + _FLOOR * variances.mean()).rsqrt() / len(variances) ** 0.5
        matrix = (axes * scales) @ axes.T
        weights = matrix @ head.kernel().detach()[:, :, 0, 0].double()
        bias = matrix @ head.bias.detach().double()
        heads.append((weights.float()[:, :, None, None], bias.float()))
    return heads


def _differences(network: Network, pool: Path) -> list[torch.Tensor]:
    """Return per map the (C, C) covariance of normal patches about their nearest references."""
    sums: list[torch.Tensor] = [torch.zeros(()), torch.zeros(())]
    for seed in _EPISODES:
        pictures = load_episode(pool, seed).pictures[: REFERENCES + NORMALS]
        with torch.no_grad():
            maps = network(as_input(pictures))
        for index, values in enumerate(maps):
            mean = functional.avg_pool2d(values, 3, stride=1, padding=1, count_include_pad=False)
            rows = mean.flatten(2).transpose(1, 2)
            references, normals = rows[:REFERENCES].flatten(0, 1), rows[REFERENCES:].flatten(0, 1)
            nearest = torch.cdist(normals, references).argmin(dim=1)
            apart = (normals - references[nearest]).double()
            sums[index] = sums[index] + apart.T @ apart / len(apart)
    return [total / len(_EPISODES) for total in sums]
