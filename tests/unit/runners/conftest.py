"""A detector of a few channels, made once for all tests that host one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.products import (
    anomalous_images,
    normal_images,
    options,
    train_into,
    write_backbone,
)


@pytest.fixture(scope="session")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX backbone of a few channels."""
    return write_backbone(tmp_path_factory.mktemp("backbone") / "tiny.onnx")


@pytest.fixture(scope="session")
def bundle(backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a classification model."""
    folder = tmp_path_factory.mktemp("bundle")
    images = normal_images(4) + anomalous_images(2, "stain")
    train_into(folder, images, options(backbone))
    return folder
