"""Backbones and bundles that the contract is checked on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.once import made_once
from tests.products import (
    anomalous_images,
    normal_images,
    options,
    train_into,
    write_backbone,
)


@pytest.fixture(scope="session")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path | str]:
    """Backbones by name: a file, and packaged ones."""
    return {
        "tiny": write_backbone(tmp_path_factory.mktemp("backbone") / "tiny.onnx"),
        "scattering": "scattering",
        "joined": "joined",
    }


@pytest.fixture(scope="session")
def bundles(
    backbones: dict[str, Path | str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A classification model, and a segmentation model of each backbone; all workers share them."""
    normal, stained = normal_images(8), anomalous_images(12, "stain", masked=True)
    holed = anomalous_images(3, "hole", first=2_000, masked=True)
    wanted = {
        "classifying": (normal + anomalous_images(3, "stain"), backbones["tiny"]),
        "segmenting": (normal + stained + holed, backbones["tiny"]),
        "scattering": (normal + stained + holed, backbones["scattering"]),
    }

    def train_all(folder: Path) -> None:
        for name, (images, backbone) in wanted.items():
            (folder / name).mkdir(parents=True)
            train_into(folder / name, images, options(backbone))

    folder = made_once("bundles", train_all, temporary=tmp_path_factory)
    return {name: folder / name for name in wanted}
