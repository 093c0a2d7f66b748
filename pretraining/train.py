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

from pretraining.episodes import Episode
from pretraining.network import Network
from pretraining.objective import batch_loss
from pretraining.pool import load_episode

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
_CHECKPOINT_SECONDS = 150
_REPORT_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a training is determined by, apart from versions and machine."""

    seed: int = 1
    #: drawn products; the pool holds as many
    episodes: int = 6000
    steps: int = 2400
    #: steps after which it ends, before the step size is 0
    end: int = 1706
    #: share of the steps at the end over which the step size falls to 0
    decay: float = 0.35
    warmup: int = 100
    per_step: int = 4
    step_size: float = 1.5e-3
    weight_decay: float = 1e-3
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
    state = _begin(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    start = _load(checkpoint, state) if checkpoint.exists() else 0
    saved = began = time.monotonic()
    figures: list[tuple[float, float]] = []
    for step in range(start, recipe.end):
        figures.append(_step(state, recipe, step, pool))
        if step + 1 == recipe.end or time.monotonic() - saved > _CHECKPOINT_SECONDS:
            saved = time.monotonic()
            _save(checkpoint, state, step + 1)
        if (step + 1) % _REPORT_STEPS == 0:
            loss, right = np.mean(figures[-_REPORT_STEPS:], axis=0)
            seconds = (time.monotonic() - began) / (step + 1 - start)
            line = {"step": step + 1, "loss": loss, "auroc": right, "seconds": seconds}
            print(json.dumps({k: round(float(v), 4) for k, v in line.items()}), flush=True)
    return state.average


def _begin(recipe: Recipe) -> _State:
    torch.manual_seed(recipe.seed)
    network = Network()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.step_size, weight_decay=recipe.weight_decay
    )
    return _State(network=network, average=copy.deepcopy(network), optimizer=optimizer)


def _step(state: _State, recipe: Recipe, step: int, pool: Path) -> tuple[float, float]:
    """Take a step; return its loss, and the AUROC of its patches."""
    random = np.random.default_rng((recipe.seed, step))
    chosen = _choose(recipe, step, random)
    episodes = [augment(load_episode(pool, seed), random) for seed in chosen]
    pictures = as_input(np.concatenate([e.pictures for e in episodes]))
    masks = torch.from_numpy(np.stack([e.masks for e in episodes]))
    with torch.autocast("cpu", torch.bfloat16):
        maps = state.network(pictures)
    loss, right = batch_loss(maps, masks, turn=step % 2)
    for group in state.optimizer.param_groups:
        group["lr"] = recipe.step_size * _step_size(recipe, step)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
    state.optimizer.step()
    keep = min(recipe.averaging, (1 + step) / (10 + step))
    with torch.no_grad():
        both = zip(state.average.parameters(), state.network.parameters(), strict=True)
        for mean, now in both:
            mean.lerp_(now, 1 - keep)
    return loss.item(), right.item()


def _choose(recipe: Recipe, step: int, random: np.random.Generator) -> list[int]:
    """Return seeds of episodes: the next ones while there are any, then any of them.

    One that is not drawn yet is waited for, so that drawing and training may go on side by side
    and still give the same.
    """
    fresh = range(step * recipe.per_step, (step + 1) * recipe.per_step)
    if fresh.stop <= recipe.episodes:
        return list(fresh)
    return [int(k) for k in random.choice(recipe.episodes, recipe.per_step, replace=False)]


def augment(episode: Episode, random: np.random.Generator) -> Episode:
    """Return an episode mirrored, turned, in other colours or negative, all pictures alike."""
    pictures, masks = episode.pictures, episode.masks
    if random.random() < 0.5:
        pictures, masks = pictures[:, :, ::-1], masks[:, :, ::-1]
    if random.random() < 0.5:
        pictures, masks = pictures[:, ::-1], masks[:, ::-1]
    if random.random() < 0.5:
        pictures, masks = pictures.swapaxes(1, 2), masks.swapaxes(1, 2)
    pictures = pictures[..., random.permutation(3)]
    if random.random() < 0.3:
        pictures = 255 - pictures
    return Episode(pictures=pictures, masks=np.ascontiguousarray(masks))


def as_input(pictures: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Return pictures (B, H, W, 3) as the network takes them."""
    planes = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255
    return ((planes - MEAN) / DEVIATION).contiguous()


def _step_size(recipe: Recipe, step: int) -> float:
    """Return the factor of the step size: a rise, a plateau, and a fall to 0."""
    fall = recipe.decay * recipe.steps
    return min(1.0, (step + 1) / recipe.warmup, (recipe.steps - step) / fall)


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
