"""The watch over real images: those of the test beside those of the training."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from blemish.engine.images.appearance import appearance
from blemish.engine.normal_images import MEDIAN_OF, Comparison, NormalImages, normal_images
from blemish.station.drift.alarms import AlarmKind
from blemish.station.drift.watch import SourceWatch

SIDE = 256
DATA = ("casting", "solar_cells", "paper/PA_BDP01_TL")
Change = Callable[[Image.Image], Image.Image]


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


@cache
def images(folder: Path, *, most: int = 40) -> tuple[Image.Image, ...]:
    return tuple(Image.open(path) for path in sorted(folder.iterdir())[:most])


@cache
def normal(data: Path) -> NormalImages:
    looks = [appearance(pixels(image)) for image in images(data / "train" / "normal")]
    embeddings = np.zeros((len(looks), 4), dtype=np.float32)
    result = normal_images(looks, embeddings, scores=np.ones(len(looks)))
    assert result is not None
    return result


def compared(data: Path, image: Image.Image) -> Comparison:
    return normal(data).compare(pixels(image), score=1, embedding_distance=0)


def watched(watch: SourceWatch, comparison: Comparison) -> SourceWatch:
    return watch.add(comparison, model="plates 1", is_anomalous=False, band=None)


@cache
def alarms_of(data: Path, change: Change) -> frozenset[AlarmKind]:
    """Return the alarms after a good while of changed images."""
    watch = SourceWatch()
    for number in range(MEDIAN_OF + 5):
        test = images(data / "test" / "normal")
        watch = watched(watch, compared(data, change(test[number % len(test)])))
    return watch.alarms


def unchanged(image: Image.Image) -> Image.Image:
    return image


def darkened(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(0.3)


def lit(image: Image.Image) -> Image.Image:
    return image.point(lambda value: min(255, 120 + value))


def blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(0.01 * image.width))


def shifted(image: Image.Image) -> Image.Image:
    return ImageChops.offset(image, image.width // 7, image.height // 7)


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (unchanged, frozenset()),
        (darkened, {AlarmKind.DARK}),
        (lit, {AlarmKind.BRIGHT}),
        (blurred, {AlarmKind.BLURRED}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_real_images_alarm_where_they_are_changed(
    shared: Path, name: str, change: Change, kinds: set[AlarmKind]
) -> None:
    assert alarms_of(shared / "data" / name, change) == kinds


def test_a_camera_that_shows_something_else_has_moved(shared: Path) -> None:
    turned = alarms_of(shared / "data" / "casting", lambda image: image.crop((0, 0, 200, 200)))

    assert AlarmKind.MOVED in turned or AlarmKind.BLURRED in turned


def test_a_moved_camera_is_an_alarm_where_parts_lie_alike(shared: Path) -> None:
    assert alarms_of(shared / "data" / "casting", shifted) == {AlarmKind.MOVED}


@pytest.mark.parametrize("name", DATA)
def test_hours_of_unchanged_images_and_anomalies_give_no_alarm(shared: Path, name: str) -> None:
    data = shared / "data" / name
    parts = [
        [compared(data, image) for image in images(data / "test" / label)]
        for label in ("normal", "anomaly")
    ]
    generator = np.random.default_rng(0)
    watch, alarms = SourceWatch(), set[AlarmKind]()

    for _ in range(3_000):
        is_anomalous = bool(generator.random() < 0.05)
        part = parts[is_anomalous]
        comparison = part[int(generator.integers(len(part)))]
        watch = watch.add(comparison, model="plates 1", is_anomalous=is_anomalous, band=None)
        alarms |= watch.alarms

    assert alarms == set()


def test_an_alarm_neither_flickers_at_its_limit_nor_lasts_for_ever(shared: Path) -> None:
    data = shared / "data" / "casting"
    dark, bright = (
        compared(data, change(images(data / "test" / "normal")[0]))
        for change in (darkened, unchanged)
    )
    limit = normal(data).ranges["brightness"].low - 0.02
    watch, states = SourceWatch(), []

    generator = np.random.default_rng(0)
    between = [limit + float(generator.normal(0, 0.004)) for _ in range(2_000)]
    for brightness in (*between, *[dark.values["brightness"]] * 30, *[0.6] * 60):
        values = {**bright.values, "brightness": brightness}
        watch = watched(watch, Comparison(values=values, ranges=bright.ranges))
        states.append(AlarmKind.DARK in watch.alarms)

    changes = sum(first != second for first, second in pairwise(states))
    assert changes == 2
    assert not states[-1]


def test_a_black_image_is_dark_and_not_blurred_as_well(shared: Path) -> None:
    black = ImageEnhance.Brightness

    assert alarms_of(shared / "data" / "casting", lambda image: black(image).enhance(0)) == {
        AlarmKind.DARK
    }


def test_the_message_names_the_measure_and_what_is_normal(shared: Path) -> None:
    data = shared / "data" / "casting"
    watch = SourceWatch()
    for image in images(data / "test" / "normal")[:MEDIAN_OF]:
        watch = watched(watch, compared(data, shifted(image)))

    assert watch.message(AlarmKind.DARK, None).startswith("The images are dark: their brightness")
    assert "14% of their width to the right" in watch.message(AlarmKind.MOVED, None)


def test_another_model_begins_anew_and_a_restart_goes_on(shared: Path) -> None:
    data = shared / "data" / "casting"
    comparison = compared(data, images(data / "test" / "normal")[0])
    watch = SourceWatch()
    for _ in range(3):
        watch = watched(watch, comparison)

    again = SourceWatch.from_json(json.loads(json.dumps(watch.to_json())))
    other = again.add(comparison, model="plates 2", is_anomalous=False, band=None)

    assert again == watch
    assert (len(other.windows["brightness"]), other.share.baseline.images) == (1, 1)
