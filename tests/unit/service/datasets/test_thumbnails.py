from __future__ import annotations

import io
import os
import resource
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from blemish.domain.entities import ObjectRef
from blemish.engine.images.decode import ImageError
from blemish.service.datasets.thumbnail_drawing import SIDE, browser_image
from blemish.service.datasets.thumbnails import Thumbnails
from blemish.storage.errors import ObjectMissingError, ObjectTooLargeError
from tests.unit.house import House
from tests.unit.manifests import BUCKET

REF = ObjectRef(bucket=BUCKET, key="a.png")


def png(size: tuple[int, int], color: str = "red") -> bytes:
    output = io.BytesIO()
    Image.new("RGB", size, color).save(output, "PNG")
    return output.getvalue()


@pytest.fixture
def thumbnails(house: House) -> Thumbnails:
    return Thumbnails(
        house.directory.thumbnails,
        staging=house.directory.staging,
        objects=house.objects,
        max_bytes=house.limits.detect_body_bytes,
    )


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1024, 512), (SIDE, 128)), ((64, 64), (64, 64)), ((40, 2000), (5, SIDE))],
)
def test_a_thumbnail_keeps_the_shape_and_enlarges_nothing(
    house: House, thumbnails: Thumbnails, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    house.objects.write(REF, png(size))

    assert Image.open(io.BytesIO(thumbnails.of(REF))).size == expected


def test_it_is_made_once_and_anew_for_another_image(house: House, thumbnails: Thumbnails) -> None:
    house.objects.write(REF, png((300, 300)))
    first = thumbnails.of(REF)
    (kept,) = house.directory.thumbnails.rglob("*.jpg")
    kept.write_bytes(b"kept")

    again = thumbnails.of(REF)
    house.objects.write(REF, png((310, 300), "blue"))

    assert again == b"kept"
    assert thumbnails.of(REF) not in {first, b"kept"}
    assert not list(house.directory.staging.iterdir())


def test_one_that_cannot_be_kept_is_shown_and_leaves_nothing(
    house: House, thumbnails: Thumbnails
) -> None:
    house.objects.write(REF, png((300, 300)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))

    try:
        shown = thumbnails.of(REF)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert Image.open(io.BytesIO(shown)).size == (SIDE, SIDE)
    assert not list(house.directory.staging.iterdir())
    assert not list(house.directory.thumbnails.rglob("*.jpg"))


def test_what_is_too_large_has_none(house: House, thumbnails: Thumbnails) -> None:
    house.objects.write(REF, png((300, 300)))
    os.truncate(house.directory.buckets / BUCKET / REF.key, house.limits.detect_body_bytes + 1)

    with pytest.raises(ObjectTooLargeError):
        thumbnails.of(REF)


def test_what_is_no_image_has_none(house: House, thumbnails: Thumbnails) -> None:
    house.objects.write(REF, b"<svg onload=alert(1)>")

    with pytest.raises(ImageError):
        thumbnails.of(REF)
    with pytest.raises(ObjectMissingError):
        thumbnails.of(ObjectRef(bucket=BUCKET, key="none.png"))
    assert not list(house.directory.thumbnails.rglob("*.jpg"))


def encoded(samples: NDArray[Any], file_format: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, file_format)
    return buffer.getvalue()


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "BMP", "WEBP"])
def test_a_browser_gets_the_file_as_it_is_stored(file_format: str) -> None:
    data = encoded(np.zeros((20, 30, 3), np.uint8), file_format)

    assert browser_image(data) == (data, f"image/{file_format.lower()}")


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_a_browser_gets_12_bits_in_their_range(file_format: str) -> None:
    samples = np.linspace(0, 4095, 600).astype(np.uint16).reshape(20, 30)

    data, kind = browser_image(encoded(samples, file_format))

    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, kind) == ("PNG", "image/png")
        assert (np.asarray(image)[..., 0] == samples >> 4).all()


def test_a_browser_gets_a_turned_image_as_it_is_stored_with_its_orientation() -> None:
    samples = np.linspace(0, 4095, 600).astype(np.uint16).reshape(20, 30)
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "PNG", exif=exif)

    data, _ = browser_image(buffer.getvalue())

    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[0x0112] == 6
        assert (np.asarray(image)[..., 0] == samples >> 4).all()
