"""Small trained models for the tests of the edge, made once in a run."""

from __future__ import annotations

from pathlib import Path

from tests.products import (
    anomalous_images,
    normal_images,
    options,
    train_into,
    write_backbone,
)

CLASSIFICATION, SEGMENTATION = "classification", "segmentation"


def train_edge_bundles(folder: Path) -> None:
    """Train a model of each kind into a folder below `folder`, which is made."""
    folder.mkdir()
    backbone = write_backbone(folder / "backbone.onnx")
    masked = anomalous_images(6, "stain", masked=True)
    masked += anomalous_images(4, "hole", first=2_000, masked=True)
    for name, images in (
        (CLASSIFICATION, normal_images(4) + anomalous_images(2, "stain")),
        (SEGMENTATION, normal_images(6) + masked),
    ):
        (folder / name).mkdir()
        train_into(folder / name, images, options(backbone))
