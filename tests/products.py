"""A small product, drawn: what the engine's tests learn from, and a backbone of a few channels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import helper
from PIL import Image

from blemish.domain.entities import Label
from blemish.engine.backbones.layers import STEP_KEY
from blemish.engine.bundle import write_bundle
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.images.decode import ImageLimits
from blemish.engine.training.labeled_images import LabeledImage, TrainingMask
from blemish.engine.training.train import TrainingOptions, TrainingReport, train

LIMITS = ImageLimits(min_side=16, max_side=4_096, max_pixels=10_000_000)
SIZE = (96, 64)  # width, height: the graph sees 256 x 160
CHANNELS = {"layer2": 12, "layer3": 16}
COLORS = {"#23A436": "stain", "#14A3B3": "hole"}
SHADES = {"stain": (200, 40, 30), "hole": (0, 0, 0)}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One image of the product."""

    pixels: NDArray[np.uint8]
    #: anomaly type -> (H, W)
    defects: dict[str, NDArray[np.bool_]]


def draw(seed: int, *anomaly_types: str, size: tuple[int, int] = SIZE) -> Drawing:
    """Draw a striped plate under noise, and a square defect of each type."""
    generator = np.random.default_rng(seed)
    width, height = size
    stripes = 110 + 30 * np.sin(np.arange(width) * 2 * np.pi / 12)
    pixels = stripes[np.newaxis, :, np.newaxis] + generator.normal(0, 6, (height, width, 3))
    defects = {}
    for place, name in enumerate(anomaly_types):
        top = int(generator.integers(4, height - 24))
        left = 6 + place * width // 2 + int(generator.integers(0, width // 2 - 26))
        where = np.zeros((height, width), dtype=np.bool_)
        where[top : top + 20, left : left + 20] = True
        pixels[where] = SHADES[name]
        defects[name] = where
    return Drawing(pixels=np.clip(pixels, 0, 255).astype(np.uint8), defects=defects)


def png(pixels: NDArray[np.uint8], **options: object) -> bytes:
    """Encode pixels as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


def mask_png(drawing: Drawing) -> bytes:
    """Encode a drawing's defects as an anomaly mask."""
    rgb = np.full(drawing.pixels.shape, 255, dtype=np.uint8)
    for color, name in COLORS.items():
        if name in drawing.defects:
            rgb[drawing.defects[name]] = list(bytes.fromhex(color[1:]))
    return png(rgb)


def labeled(seed: int, *anomaly_types: str, masked: bool = False) -> LabeledImage:
    """Draw an image and label it."""
    drawing = draw(seed, *anomaly_types)
    data, mask = png(drawing.pixels), mask_png(drawing)
    return LabeledImage(
        name=f"{'-'.join(anomaly_types) or 'normal'}-{seed}.png",
        label=Label.ANOMALY if anomaly_types else Label.NORMAL,
        read=lambda: data,
        mask=TrainingMask(read=lambda: mask, colors=COLORS) if masked else None,
    )


def normal_images(count: int, *, first: int = 0) -> list[LabeledImage]:
    """Draw normal images."""
    return [labeled(first + i) for i in range(count)]


def anomalous_images(
    count: int, *anomaly_types: str, first: int = 1_000, masked: bool = False
) -> list[LabeledImage]:
    """Draw images with a defect of each of the types."""
    return [labeled(first + i, *anomaly_types, masked=masked) for i in range(count)]


def write_backbone(path: Path) -> Path:
    """Write a backbone of two random convolutions per layer, with strides 8 and 16."""
    graph = GraphWriter()
    generator = np.random.default_rng(5)

    def conv(x: str, channels: tuple[int, int], *, stride: int, output: str | None = None) -> str:
        weights = generator.standard_normal((channels[1], channels[0], stride, stride))
        kernel = graph.constant((weights / (stride * channels[0] ** 0.5)).astype(np.float32))
        return graph.add("Relu", graph.add("Conv", x, kernel, strides=[stride] * 2), output=output)

    image = graph.input("image", np.float32, ("batch", 3, "height", "width"))
    layer2 = conv(image, (3, CHANNELS["layer2"]), stride=8, output="layer2")
    conv(layer2, (CHANNELS["layer2"], CHANNELS["layer3"]), stride=2, output="layer3")
    for name, channels in CHANNELS.items():
        graph.output(name, np.float32, ("batch", channels, f"h_{name}", f"w_{name}"))
    path.write_bytes(graph.model().SerializeToString())
    return path


def write_patch_backbone(path: Path, *, step: str) -> Path:
    """Write a backbone of 14 x 14 patches, which says what the sides must be multiples of."""
    graph = GraphWriter()
    image = graph.input("image", np.float32, (1, 3, "height", "width"))
    for name in CHANNELS:
        graph.add("AveragePool", image, output=name, kernel_shape=[14, 14], strides=[14, 14])
        graph.output(name, np.float32, (1, 3, f"h_{name}", f"w_{name}"))
    model = graph.model()
    helper.set_model_props(model, {STEP_KEY: step})
    path.write_bytes(model.SerializeToString())
    return path


def options(backbone: Path | str | None, *, mixed_sizes: bool = False) -> TrainingOptions:
    """Return options for a quick training."""
    return TrainingOptions(
        limits=LIMITS,
        mixed_sizes=mixed_sizes,
        backbone=backbone,
        threads=1,
        seed=0,
        min_masks_per_type=3,
    )


def train_into(
    folder: Path, images: Sequence[LabeledImage], options: TrainingOptions
) -> TrainingReport:
    """Train, and write the bundle into a folder that exists."""
    report = train(images, options=options, progress=lambda _: None)
    write_bundle(report.bundle, folder)
    return report
