"""The registry of scorers.

To add a scorer, write a module that defines a `Scorer`, and add it to `SCORERS`.
"""

from __future__ import annotations

from blemish.engine.scorers.image_gaussian import IMAGE_GAUSSIAN
from blemish.engine.scorers.image_head import IMAGE_HEAD
from blemish.engine.scorers.memory_bank import (
    LAYER_BANKS,
    MEMORY_BANK,
    NETWORK_BANKS,
    WHITENED_BANK,
)
from blemish.engine.scorers.patch_head import PATCH_HEAD
from blemish.engine.scorers.scorer import Scorer
from blemish.engine.scorers.subspace import SUBSPACE

SCORERS: tuple[Scorer, ...] = (
    MEMORY_BANK,
    *LAYER_BANKS,
    *NETWORK_BANKS,
    WHITENED_BANK,
    SUBSPACE,
    IMAGE_GAUSSIAN,
    IMAGE_HEAD,
    PATCH_HEAD,
)
"""Scorers are fitted, and written into graphs, in this order. Another order changes the bits of
trained models."""
