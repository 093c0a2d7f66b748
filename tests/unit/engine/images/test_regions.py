"""Region masks: which pixels of an image count, and which patches."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.domain.regions import RegionKind
from blemish.engine.images.formats import ImageError
from blemish.engine.images.regions import Regions, check_aspect, decode_regions
from tests.products import png


def painted(*, left: int, size: tuple[int, int] = (80, 40)) -> bytes:
    """Return a mask of a (width, height) whose first columns are painted."""
    pixels = np.full((size[1], size[0], 3), 255, dtype=np.uint8)
    pixels[:, :left] = (200, 30, 30)
    return png(pixels)


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (40, 80, 3), dtype=np.uint8)


def test_painted_pixels_are_ignored_or_alone_of_interest() -> None:
    ignored = decode_regions(painted(left=20), RegionKind.IGNORED)
    of_interest = decode_regions(painted(left=20), RegionKind.OF_INTEREST)

    assert ignored.size == (80, 40)
    assert not ignored.inspected[:, :20].any()
    assert ignored.inspected[:, 20:].all()
    assert (of_interest.inspected == ~ignored.inspected).all()


def test_white_and_transparent_pixels_are_not_painted() -> None:
    pixels = np.zeros((40, 80, 4), dtype=np.uint8)
    pixels[:, 40:] = 255
    pixels[:10, :10, 3] = 255

    regions = decode_regions(png(pixels), RegionKind.IGNORED)

    assert (~regions.inspected).sum() == 100


@pytest.mark.parametrize(
    ("left", "kind", "reason"),
    [
        (80, RegionKind.IGNORED, "ignores the whole image"),
        (80, RegionKind.OF_INTEREST, "ignores no pixel"),
        (0, RegionKind.IGNORED, "has no painted pixel"),
    ],
)
def test_a_mask_of_everything_or_nothing_is_refused(
    left: int, kind: RegionKind, reason: str
) -> None:
    with pytest.raises(ImageError, match=reason):
        decode_regions(painted(left=left), kind)


def test_a_mask_is_a_png() -> None:
    with pytest.raises(ImageError, match="is a text"):
        decode_regions(b"hello", RegionKind.IGNORED)


def test_a_pixel_of_the_graph_that_any_ignored_pixel_reaches_is_ignored() -> None:
    regions = decode_regions(painted(left=21), RegionKind.IGNORED)

    area = regions.area(orientation=1, size=(40, 20), grid=(5, 10))

    assert not area.pixels[:, :11].any()
    assert area.pixels[:, 12:].all()
    assert area.patches.reshape(5, 10).all(axis=0).tolist() == [False] * 3 + [True] * 7


def test_regions_are_turned_with_the_images() -> None:
    regions = decode_regions(painted(left=20), RegionKind.IGNORED)

    area = regions.area(orientation=6, size=(40, 80), grid=(10, 5))

    assert not area.pixels[:19].any()
    assert area.pixels[22:].all()


def test_regions_that_leave_no_patch_are_refused() -> None:
    inspected = np.zeros((40, 80), dtype=np.bool_)
    inspected[0, 0] = True

    with pytest.raises(ImageError, match="leaves nothing to judge"):
        Regions(inspected=inspected).area(orientation=1, size=(80, 40), grid=(5, 10))


def test_ignored_pixels_get_the_mean_of_the_others(pixels: NDArray[np.uint8]) -> None:
    regions = decode_regions(painted(left=20), RegionKind.IGNORED)
    area = regions.area(orientation=1, size=(80, 40), grid=(5, 10))
    other = pixels.copy()
    other[:, :20] = 7

    filled = area.filled(pixels)

    assert (filled[area.pixels] == pixels[area.pixels]).all()
    assert (np.abs(filled[~area.pixels] - pixels[area.pixels].mean(axis=0)) <= 0.5).all()
    assert (area.filled(other) == filled).all()


@pytest.mark.parametrize("size", [(80, 40), (160, 80), (40, 20), (161, 80), (8, 4)])
def test_a_mask_fits_images_of_its_proportions(size: tuple[int, int]) -> None:
    check_aspect(size, mask=(80, 40))


@pytest.mark.parametrize("size", [(40, 80), (160, 90), (80, 44)])
def test_a_mask_fits_no_other_images(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match="must be in the same proportion"):
        check_aspect(size, mask=(80, 40))
