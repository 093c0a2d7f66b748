"""Files that other tools wrote; tests/fixtures/labelled/README.md says how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.interchange.folders import masks, read

FIXTURES = Path(__file__).parents[2] / "fixtures" / "labelled"


def area(*windows: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Return the mask of windows (left, top, right, bottom)."""
    mask = np.zeros((64, 80), dtype=np.bool_)
    for left, top, right, bottom in windows:
        mask[top:bottom, left:right] = True
    return mask


CORNER = area((8, 10, 14, 30), (8, 24, 40, 30))
SCRATCH = (CORNER | area((48, 12, 58, 20))) & ~area((52, 15, 54, 17))
BOX = area((8, 10, 40, 30))

EXACT = {
    "datumaro-coco": ("coco", SCRATCH),
    "datumaro-cvat": ("cvat", SCRATCH),
    "datumaro-mvtec": ("mvtec", SCRATCH),
    "label-studio": ("label-studio", SCRATCH),
    "label-studio-yolo": ("yolo", CORNER),
    "labelme": ("labelme", SCRATCH),
    "pycocotools": ("coco", SCRATCH),
}
"""Tools whose files hold every pixel, or outlines along the edges of pixels."""

NEARLY = {
    "datumaro-voc": ("voc", BOX),
    "supervision-coco": ("coco", SCRATCH),
    "supervision-voc": ("voc", SCRATCH),
    "supervision-yolo": ("yolo", SCRATCH),
}
"""Tools whose outlines go through the middle of pixels, or that round boxes."""


@pytest.mark.parametrize(("name", "expected"), EXACT.items(), ids=EXACT)
def test_masks_of_a_tool_are_read_to_the_pixel(
    name: str, expected: tuple[str, NDArray[np.bool_]], tmp_path: Path
) -> None:
    format_name, mask = expected

    assert read(FIXTURES / name).format.name == format_name
    (drawn,) = (types for types in masks(FIXTURES / name, tmp_path).values() if types)

    assert list(drawn) == ["scratch"]
    np.testing.assert_array_equal(drawn["scratch"], mask)


@pytest.mark.parametrize(("name", "expected"), NEARLY.items(), ids=NEARLY)
def test_outlines_of_a_tool_are_read_to_about_a_pixel(
    name: str, expected: tuple[str, NDArray[np.bool_]], tmp_path: Path
) -> None:
    format_name, mask = expected

    assert read(FIXTURES / name).format.name == format_name
    (drawn,) = (types for types in masks(FIXTURES / name, tmp_path).values() if types)

    overlap = (drawn["scratch"] & mask).sum() / (drawn["scratch"] | mask).sum()
    assert overlap > 0.7


@pytest.mark.parametrize("name", [*EXACT, *NEARLY])
def test_the_other_image_is_normal_or_has_no_label(name: str) -> None:
    labels = sorted(str(image.label) for image in read(FIXTURES / name).images)

    normal = "None" if name == "datumaro-voc" else "normal"  # it wrote no file for that image
    assert labels == sorted(["anomaly", normal])
