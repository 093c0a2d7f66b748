"""A detector with regions: what is ignored neither teaches nor judges, and can be moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.domain.regions import RegionKind
from blemish.engine.bundle import Bundle, bundle_files, parse_bundle
from blemish.engine.errors import BundleError, TrainingError
from blemish.engine.images.formats import ImageError
from blemish.engine.images.regions import decode_regions
from blemish.engine.moved_regions import move_regions
from blemish.engine.runtime import Detection, Detector
from blemish.engine.training.train import TrainingOptions, train
from tests.products import (
    LIMITS,
    anomalous_images,
    draw,
    normal_images,
    options,
    png,
    write_backbone,
)

WIDTH, HEIGHT = 96, 64
LEFT = 40


def regions_png(left: int, *, size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    pixels = np.full((size[1], size[0], 3), 255, dtype=np.uint8)
    pixels[:, :left] = 0
    return png(pixels)


def with_defect(pixels: NDArray[np.uint8], *, x: int) -> bytes:
    marked = pixels.copy()
    marked[20:44, x : x + 20] = 0
    return png(marked)


@pytest.fixture(scope="module")
def regional(tmp_path_factory: pytest.TempPathFactory) -> TrainingOptions:
    """How to train a detector that ignores the left part."""
    backbone = write_backbone(tmp_path_factory.mktemp("regions") / "tiny.onnx")
    regions = decode_regions(regions_png(LEFT), RegionKind.IGNORED)
    return replace(options(backbone, mixed_sizes=True), regions=regions)


@pytest.fixture(scope="module")
def bundle(regional: TrainingOptions) -> Bundle:
    """A segmenting detector with heads; some of its anomalies are only where nothing counts."""
    images = (
        normal_images(12)
        + anomalous_images(12, "stain", "hole", masked=True)
        + anomalous_images(4, "stain", first=2_000, masked=True)
    )
    return train(images, options=regional, progress=lambda _: None).bundle


def detect(bundle: Bundle, data: bytes) -> Detection:
    return Detector.load(bundle, threads=1).detect(data, limits=LIMITS, mixed_sizes=True)


def test_what_is_ignored_changes_nothing_and_what_counts_does(bundle: Bundle) -> None:
    pixels = draw(5_000).pixels

    plain, inside, outside = (
        detect(bundle, data)
        for data in (png(pixels), with_defect(pixels, x=4), with_defect(pixels, x=70))
    )

    assert inside.score == plain.score < outside.score
    assert (inside.anomaly_map == plain.anomaly_map).all()
    assert inside.classes is not None
    assert plain.classes is not None
    assert (inside.classes == plain.classes).all()


def test_maps_and_masks_are_empty_where_nothing_counts(bundle: Bundle) -> None:
    found = detect(bundle, with_defect(draw(5_000).pixels, x=50))

    ignored = int(LEFT / WIDTH * found.anomaly_map.shape[1])
    assert (found.anomaly_map[:, :ignored] == 0).all()
    assert found.mask is not None
    assert (found.mask[:, :LEFT] == 0).all()


def test_the_bundle_says_what_counts(bundle: Bundle) -> None:
    files = bundle_files(bundle)

    regions = parse_bundle(files.__getitem__, name="test").info.regions

    assert regions == bundle.info.regions
    assert regions is not None
    assert regions.mask_size == (WIDTH, HEIGHT)
    assert 0.5 < regions.inspected_share < 0.6
    assert not regions.moved


def test_moved_regions_are_in_force_and_say_that_they_were_moved(bundle: Bundle) -> None:
    moved = move_regions(bundle, decode_regions(regions_png(64), RegionKind.OF_INTEREST))
    pixels = draw(5_000).pixels

    plain, outside = detect(moved, png(pixels)), detect(moved, with_defect(pixels, x=70))

    assert outside.score == plain.score
    assert moved.info.regions is not None
    assert moved.info.regions.moved
    assert moved.info.threshold == bundle.info.threshold
    back = move_regions(moved, decode_regions(regions_png(LEFT), RegionKind.IGNORED))
    assert back.model == bundle.model


def test_a_detector_without_regions_has_none_to_move(regional: TrainingOptions) -> None:
    everything = replace(regional, regions=None)
    whole = train(normal_images(4), options=everything, progress=lambda _: None).bundle

    assert whole.info.regions is None
    assert b"inspected_" not in whole.model
    with pytest.raises(BundleError, match="trained without regions"):
        move_regions(whole, decode_regions(regions_png(8), RegionKind.IGNORED))


def test_images_of_other_proportions_are_refused(bundle: Bundle) -> None:
    with pytest.raises(ImageError, match="must be in the same proportion"):
        detect(bundle, png(draw(1, size=(96, 96)).pixels))

    twice = draw(1, size=(2 * WIDTH, 2 * HEIGHT)).pixels
    assert np.isfinite(detect(bundle, png(twice)).score)


def test_a_training_names_the_images_that_the_mask_does_not_fit(regional: TrainingOptions) -> None:
    square = decode_regions(regions_png(8, size=(64, 64)), RegionKind.IGNORED)

    with pytest.raises(TrainingError) as caught:
        train(normal_images(3), options=replace(regional, regions=square), progress=lambda _: None)

    assert len(caught.value.problems) == 3
