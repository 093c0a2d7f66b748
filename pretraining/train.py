"""Training: steps of a few episodes each, resumable, deterministic for a seed and torch's build."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from pretraining.augmentation import vary
from pretraining.fields import Random
from pretraining.network import Network
from pretraining.objective import batch_loss
from pretraining.pool import load_episode

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
INPUT_SCALE = 0.5
"""Of the network's input, beside ImageNet's mean and deviation."""

_SOUND = 6
"""Pictures of an episode before the defective ones."""
_MOMENTS = (0.9, 0.98)
_CHECKPOINT_SECONDS = 150
_REPORT_STEPS = 50


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a training is determined by, apart from versions and machine."""

    seed: int = 0
    #: drawn products: those there are to choose from at the start, those that each so many steps
    #: add, and all
    episodes_first: int = 1000
    episodes_more: int = 200
    episodes_steps: int = 200
    episodes: int = 2400
    per_step: int = 5
    #: pixels of the pictures of a step, one of these
    sides: tuple[int, ...] = (96, 112)
    steps: int = 1514
    #: steps over which the step size rises; it never falls: the averaged weights stand for that
    warmup: int = 150
    step_size: float = 6e-4
    weight_decay: float = 0.03
    #: of the averaged weights, which are what is shipped
    averaging: float = 0.995


@dataclass(frozen=True, kw_only=True)
class _State:
    """A training as it is between two steps."""

    network: Network
    #: the running mean of its weights
    average: Network
    optimizer: torch.optim.Optimizer


def train(recipe: Recipe, *, pool: Path, folder: Path, threads: int) -> Network:
    """Train a network, going on from the checkpoint in a folder if there is one."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    state = _begin(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    start = _load(checkpoint, state) if checkpoint.exists() else 0
    saved = began = time.monotonic()
    figures: list[tuple[float, float]] = []
    for step in range(start, recipe.steps):
        figures.append(_step(state, recipe, step, pool))
        if step + 1 == recipe.steps or time.monotonic() - saved > _CHECKPOINT_SECONDS:
            saved = time.monotonic()
            _save(checkpoint, state, step + 1)
        if (step + 1) % _REPORT_STEPS == 0:
            loss, right = np.mean(figures[-_REPORT_STEPS:], axis=0)
            seconds = (time.monotonic() - began) / (step + 1 - start)
            line = {"step": step + 1, "loss": loss, "auroc": right, "seconds": seconds}
            print(json.dumps({k: round(float(v), 4) for k, v in line.items()}), flush=True)
    return state.average.eval()


def _begin(recipe: Recipe) -> _State:
    torch.manual_seed(recipe.seed)
    network = Network().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.step_size, weight_decay=recipe.weight_decay, betas=_MOMENTS
    )
    return _State(network=network, average=copy.deepcopy(network), optimizer=optimizer)


def _step(state: _State, recipe: Recipe, step: int, pool: Path) -> tuple[float, float]:
    """Take a step; return its loss, and the AUROC of its patches."""
    pictures, masks = _batch(recipe, step, pool)
    with torch.autocast("cpu", torch.bfloat16):
        maps = state.network(pictures)
    loss, right = batch_loss(maps, masks, turn=step % 2)
    for group in state.optimizer.param_groups:
        group["lr"] = recipe.step_size * min(1.0, (step + 1) / recipe.warmup)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.optimizer.step()
    _average(state, min(recipe.averaging, (2 + step) / (11 + step)))
    return loss.item(), right


def _batch(recipe: Recipe, step: int, pool: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pictures of a step as the network takes them, and the masks of the queries."""
    random = np.random.default_rng((recipe.seed, step))
    side = int(random.choice(recipe.sides))
    grown = recipe.episodes_first + recipe.episodes_more * (step // recipe.episodes_steps)
    known = min(recipe.episodes, grown)
    chosen = random.choice(known, recipe.per_step, replace=False)
    episodes = [load_episode(pool, int(seed)) for seed in chosen]
    shapes = [mask for episode in episodes for mask in episode.masks]
    varied = []
    for index, episode in enumerate(episodes):
        foreign = _picture(episodes[(index + 1) % len(episodes)].pictures, random)
        varied.append(vary(episode, foreign, random, shapes=shapes, side=side))
    pictures = as_input(torch.cat([one for one, _ in varied]))
    return pictures, torch.cat([masks for _, masks in varied])


def _picture(pictures: npt.NDArray[np.uint8], random: Random) -> npt.NDArray[np.uint8]:
    return pictures[int(random.integers(_SOUND))]


def as_input(pictures: torch.Tensor) -> torch.Tensor:
    """Return pictures (B, 3, H, W) from 0 to 1 as the network takes them."""
    scaled = (pictures - MEAN) / DEVIATION
    return scaled.contiguous(memory_format=torch.channels_last) * INPUT_SCALE


def _average(state: _State, keep: float) -> None:
    with torch.no_grad():
        for now, mean in zip(_values(state.network), _values(state.average), strict=True):
            mean.lerp_(now, 1 - keep)


def _values(network: Network) -> list[torch.Tensor]:
    """Return what is averaged: weights, and what the normalisations have seen."""
    buffers = [buffer for buffer in network.buffers() if buffer.dtype.is_floating_point]
    return [*network.parameters(), *buffers]


def _save(path: Path, state: _State, step: int) -> None:
    part = path.with_suffix(".part")
    parts = {name: one.state_dict() for name, one in vars(state).items()}
    torch.save({**parts, "step": step}, part)
    part.replace(path)


def _load(path: Path, state: _State) -> int:
    """Fill a state from a file; return how many steps were taken."""
    saved = torch.load(path, weights_only=True)
    for name, part in vars(state).items():
        part.load_state_dict(saved[name])
    return int(saved["step"])
