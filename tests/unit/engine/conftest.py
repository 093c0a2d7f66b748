"""One small backbone and one small detector, made once for all of the engine's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from blemish.engine.bundle import read_bundle
from blemish.engine.runtime import Detector
from tests.products import (
    anomalous_images,
    normal_images,
    options,
    train_into,
    write_backbone,
)


@pytest.fixture(scope="session")
def backbone_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX backbone of a few channels."""
    return write_backbone(tmp_path_factory.mktemp("backbone") / "tiny.onnx")


@pytest.fixture(scope="session")
def bundle(backbone_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a segmentation model that knows stains and holes."""
    folder = tmp_path_factory.mktemp("bundle")
    train_into(
        folder,
        [
            *normal_images(6),
            *anomalous_images(6, "stain", masked=True),
            *anomalous_images(4, "hole", first=2_000, masked=True),
        ],
        options(backbone_file),
    )
    return folder


@pytest.fixture(scope="session")
def classifying_bundle(backbone_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a classification model."""
    folder = tmp_path_factory.mktemp("classifying")
    images = normal_images(4) + anomalous_images(2, "stain")
    train_into(folder, images, options(backbone_file))
    return folder


@pytest.fixture(scope="session")
def detector(bundle: Path) -> Detector:
    """A segmentation model that knows stains and holes."""
    return Detector.load(read_bundle(bundle), threads=1)
