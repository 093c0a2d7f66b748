"""Draws the episodes, trains the network, and writes it with its recipe into the package."""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from pretraining.export import export
from pretraining.pool import PER_FILE, draw_pool
from pretraining.train import Recipe, train

WEIGHTS = Path(__file__).parents[1] / "src/blemish/engine/embedded"
_LIBRARIES = ("numpy", "onnx", "pillow", "scipy", "torch")


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m pretraining", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for pictures and state")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    recipe = Recipe()
    pool = arguments.work / "pool"
    draw_pool(pool, files=-(-recipe.episodes // PER_FILE), processes=arguments.threads)
    folder = arguments.work / "training"
    network = train(recipe, pool=pool, folder=folder, threads=arguments.threads)
    write(export(network), recipe, threads=arguments.threads)


def write(data: bytes, recipe: Recipe, *, threads: int) -> None:
    """Write a trained network with its recipe into the package."""
    WEIGHTS.mkdir(exist_ok=True)
    (WEIGHTS / "drawn.onnx").write_bytes(data)
    about = {
        "name": "drawn",
        "sha256": hashlib.sha256(data).hexdigest(),
        "licence": "Apache-2.0",
        "trained_on": "pictures drawn by pretraining/, no photographs",
        **asdict(recipe),
        "threads": threads,
        "versions": {name: version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "processor": platform.machine(),
    }
    (WEIGHTS / "drawn.json").write_text(json.dumps(about, indent=2) + "\n")


if __name__ == "__main__":
    main()
