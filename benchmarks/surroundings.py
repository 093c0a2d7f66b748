"""What all benchmarks share: where things lie, and with what limits and threads they work."""

from __future__ import annotations

import os
from pathlib import Path

from blemish.engine.backbones.catalogue import is_packaged
from blemish.engine.images.decode import ImageLimits
from blemish.engine.training.train import TrainingOptions

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("BLEMISH_SHARED", ROOT.parent / "shared"))
PRETRAINED = SHARED / "weights" / "resnet18-layer1-3.onnx"
PEER_PYTHON = Path(os.environ.get("BLEMISH_PEER_PYTHON", ROOT / ".venv-peers" / "bin" / "python"))
"""The Python that anomalib is installed for."""

LIMITS = ImageLimits(min_side=64, max_side=16_384, max_pixels=100_000_000)
THREADS = 2


def backbone_source(text: str) -> Path | str:
    """Return the backbone that an argument names: a packaged one, or a file."""
    return text if is_packaged(text) else Path(text)


def training_options(backbone: Path | str | None, *, seed: int) -> TrainingOptions:
    """Return what a training depends on besides its images."""
    return TrainingOptions(
        limits=LIMITS,
        mixed_sizes=True,
        backbone=backbone,
        threads=THREADS,
        seed=seed,
        min_masks_per_type=5,
    )
