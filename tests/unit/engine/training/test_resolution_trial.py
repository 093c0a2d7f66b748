from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from blemish.domain.entities import Label
from blemish.engine.backbones.backbone import load_backbone
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.images.regions import Regions
from blemish.engine.training.labeled_images import LabeledImage
from blemish.engine.training.resolution_trial import (
    MIN_DETAIL,
    MIN_NORMALS,
    ResolutionTrial,
    finer_detail,
    try_resolutions,
)
from blemish.engine.training.validation import training_set, validate_datasets
from tests.products import LIMITS, png

SIZE = (640, 400)
INSPECTED = np.indices(SIZE[::-1])[1] < 400
REGIONS = Regions(inspected=INSPECTED)


@pytest.fixture(scope="module")
def embedders(backbone_file: Path) -> list[Embedder]:
    backbone = load_backbone(backbone_file)
    return [Embedder(backbone, width=w, height=h, threads=1) for w, h in ((256, 160), (512, 320))]


def plate(seed: int, *, grain: float = 12, ignored_grain: float | None = None) -> LabeledImage:
    """Draw a cloudy image, with noise of so many levels on each pixel, or others where ignored."""
    generator = np.random.default_rng(seed)
    clouds = generator.normal(0, 20, (SIZE[1] // 24, SIZE[0] // 24)).astype(np.float32)
    noise = generator.normal(0, 1, SIZE[::-1]) * grain
    if ignored_grain is not None:
        noise[~INSPECTED] *= ignored_grain / max(grain, 1)
        noise[~INSPECTED] += generator.normal(0, ignored_grain, int((~INSPECTED).sum()))
    levels = 120 + resized(clouds) + noise
    pixels = np.repeat(np.clip(levels, 0, 255)[:, :, np.newaxis], 3, axis=2)
    data = png(pixels.astype(np.uint8))
    return LabeledImage(name=f"{seed}.png", label=Label.NORMAL, read=lambda: data, mask=None)


def resized(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(values).resize(SIZE, Image.Resampling.BICUBIC))


def trial(
    images: Sequence[LabeledImage], embedders: Sequence[Embedder], regions: Regions | None = None
) -> ResolutionTrial:
    datasets = validate_datasets(images, limits=LIMITS, mixed_sizes=False, progress=lambda _: None)
    return try_resolutions(
        training_set(datasets.training, mixed_sizes=False),
        embedders,
        limits=LIMITS,
        seed=0,
        progress=lambda _: None,
        regions=regions,
    )


def test_small_marks_on_sharp_images_select_the_higher_resolution(
    embedders: list[Embedder],
) -> None:
    images = [plate(seed) for seed in range(MIN_NORMALS)]

    result = trial(images, embedders)

    assert result.selected == 1
    (note,) = result.notes
    assert note.startswith("Images are seen at 512 x 320 pixels instead of 256 x 160")
    assert trial(images[::-1], embedders) == result


def test_images_without_finer_detail_are_seen_at_the_lower_resolution(
    embedders: list[Embedder],
) -> None:
    result = trial([plate(seed, grain=0) for seed in range(MIN_NORMALS)], embedders)

    assert result.selected == 0
    (note,) = result.notes
    assert note.endswith("not at 512 x 320: the images hold no finer detail.")


def test_what_is_ignored_does_not_decide(embedders: list[Embedder]) -> None:
    plates = [plate(seed, ignored_grain=0) for seed in range(MIN_NORMALS)]
    noisy_clamps = [plate(seed, grain=0, ignored_grain=40) for seed in range(MIN_NORMALS)]

    result = trial(plates, embedders, REGIONS)

    assert result.selected == 1
    (note,) = trial(noisy_clamps, embedders, REGIONS).notes
    assert note.endswith("the images hold no finer detail.")


def test_few_images_are_not_tried(embedders: list[Embedder]) -> None:
    result = trial([plate(seed) for seed in range(MIN_NORMALS - 1)], embedders)

    assert result == ResolutionTrial(selected=0, notes=())


def test_noise_is_finer_than_what_is_enlarged_from_it() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    enlarged = np.asarray(Image.fromarray(noise).resize((384, 256), Image.Resampling.BICUBIC))

    assert finer_detail(noise) > 1
    assert finer_detail(enlarged) < MIN_DETAIL
