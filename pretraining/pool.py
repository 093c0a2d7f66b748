"""A pool of drawn episodes on disk, so that each is drawn once and trained on several times."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import numpy as np

from pretraining.episodes import Episode, draw_episode

PER_FILE = 50


def draw_pool(folder: Path, *, files: int, processes: int) -> None:
    """Draw the episodes of seeds 0, 1, 2, ... into files; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [(folder, index) for index in range(files) if not _file(folder, index).exists()]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for _ in pool.imap(_draw_file, tasks):
            pass


def load_episode(folder: Path, seed: int) -> Episode:
    """Read an episode, waiting until it is drawn."""
    path = _file(folder, seed // PER_FILE)
    while not path.exists():
        time.sleep(1)
    pictures = np.load(path, mmap_mode="r")[seed % PER_FILE]
    packed = np.load(_masks(folder, seed // PER_FILE), mmap_mode="r")[seed % PER_FILE]
    masks = np.unpackbits(packed, axis=-1).astype(np.bool_)
    return Episode(pictures=np.array(pictures), masks=masks)


def _file(folder: Path, index: int) -> Path:
    return folder / f"pictures-{index:05}.npy"


def _masks(folder: Path, index: int) -> Path:
    return folder / f"masks-{index:05}.npy"


def _draw_file(task: tuple[Path, int]) -> None:
    folder, index = task
    episodes = [draw_episode(index * PER_FILE + k) for k in range(PER_FILE)]
    np.save(_masks(folder, index), np.packbits(np.stack([e.masks for e in episodes]), axis=-1))
    part = folder / f"part-{index:05}.npy"
    np.save(part, np.stack([e.pictures for e in episodes]))
    part.replace(_file(folder, index))
