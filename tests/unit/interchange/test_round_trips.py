"""What is written in a format, and read again, is the same: labels, sets and every pixel."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from blemish.domain.entities import DatasetType, Label, ObjectRef
from blemish.engine.images.masks import encode_mask
from blemish.interchange.archives import DatasetArchive
from blemish.interchange.drafts import import_line
from blemish.interchange.exports import EXPORT_FORMATS, export_archive
from blemish.interchange.labelled import InterchangeError
from blemish.interchange.outlines import blob_outline, blobs
from blemish.interchange.regions import fill_outline
from tests.unit.interchange.folders import HEIGHT, WIDTH, by_path, masks, read, rectangle

NOW = datetime(2026, 5, 1, tzinfo=UTC)
COLORS = {"#23A436": "scratch", "#14A3B3": "a <dent> & more"}
LOSSLESS = [name for name in EXPORT_FORMATS if name not in {"voc", "mvtec", "folders"}]

_RING = rectangle(40, 10, 60, 30) & ~rectangle(45, 15, 50, 20)
_SPECKS = np.random.default_rng(0).random((HEIGHT, WIDTH)) > 0.98
SCRATCH = rectangle(3, 40, 30, 43) | _RING
DENT = _SPECKS & ~SCRATCH

Objects = Mapping[str, bytes]


def jpeg(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), "grey").save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def line(key: str, label: Label | None, mask: str | None = None) -> str:
    return import_line(
        f"s3://bucket/{key}",
        label=label,
        mask_ref=f"s3://bucket/{mask}" if mask else None,
        colors=COLORS,
        mask_orientation=None,
        now=NOW,
    )


OBJECTS: Objects = {
    **{f"n{index}/0001.jpg": jpeg(1) for index in range(3)},
    "a/0002.jpg": jpeg(1),
    "a/turned.jpg": jpeg(6),
    "a/plain.jpg": jpeg(1),
    "new.jpg": jpeg(1),
    "m/both.png": encode_mask(
        np.where(SCRATCH, 1, np.where(DENT, 2, 0)).astype(np.uint8), colors=["#FFFFFF", *COLORS]
    ),
    "m/one.png": encode_mask(SCRATCH.astype(np.uint8), colors=["#FFFFFF", *COLORS]),
}
TRAIN, TEST = DatasetType.TRAIN, DatasetType.TEST
LINES = [
    (TRAIN, line("n0/0001.jpg", Label.NORMAL)),
    (TRAIN, line("n1/0001.jpg", Label.NORMAL)),
    (TRAIN, line("a/0002.jpg", Label.ANOMALY, "m/both.png")),
    (TEST, line("n2/0001.jpg", Label.NORMAL)),
    (TEST, line("a/turned.jpg", Label.ANOMALY, "m/one.png")),
    (TEST, line("a/plain.jpg", Label.ANOMALY)),
    (TRAIN, line("new.jpg", None)),
]


def read_object(ref: ObjectRef) -> bytes:
    if ref.key not in OBJECTS:
        raise InterchangeError("there is no such object")
    return OBJECTS[ref.key]


def export(folder: Path, name: str) -> tuple[Path, DatasetArchive]:
    archive = DatasetArchive(now=NOW)
    chunks = export_archive(LINES, format_name=name, read=read_object, archive=archive, now=NOW)
    (folder / "export.zip").write_bytes(b"".join(chunks))
    return folder / "export.zip", archive


def upright(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(np.rot90(mask, -1))  # as orientation 6 says


@pytest.mark.parametrize("name", LOSSLESS)
def test_masks_come_back_to_the_pixel(name: str, tmp_path: Path) -> None:
    path, _ = export(tmp_path, name)

    drawn = {path[-10:]: types for path, types in masks(path, tmp_path / "m").items()}

    both = drawn["n/0002.jpg"]
    np.testing.assert_array_equal(both["scratch"], SCRATCH)
    np.testing.assert_array_equal(both["a <dent> & more"], DENT)
    turned = drawn["turned.jpg"]["scratch"]
    stored = SCRATCH if turned.shape == SCRATCH.shape else upright(SCRATCH)
    np.testing.assert_array_equal(turned, stored)


@pytest.mark.parametrize("name", [*LOSSLESS, "voc"])
def test_labels_and_sets_come_back(name: str, tmp_path: Path) -> None:
    path, _ = export(tmp_path, name)

    images = {path.rsplit("/", 1)[-1]: image for path, image in by_path(read(path)).items()}

    expected = {
        "0001.jpg": ("train", Label.NORMAL),
        "0001-2.jpg": ("train", Label.NORMAL),
        "0002.jpg": ("train", Label.ANOMALY),
        "0001-3.jpg": ("test", Label.NORMAL),
        "turned.jpg": ("test", Label.ANOMALY),
        "plain.jpg": ("test", Label.ANOMALY),
        "new.jpg": ("train", None),
    }
    if name == "yolo":  # it has no labels beside areas
        del expected["plain.jpg"], expected["new.jpg"]
    assert {key: (image.set_name, image.label) for key, image in images.items()} == expected


def test_voc_has_boxes_around_the_areas(tmp_path: Path) -> None:
    path, archive = export(tmp_path, "voc")

    drawn = masks(path, tmp_path / "m")

    expected = rectangle(3, 40, 30, 43) | rectangle(40, 10, 60, 30)
    assert (drawn["images/train/0002.jpg"]["scratch"] & expected).sum() > 0
    turned = drawn["images/test/turned.jpg"]["scratch"]
    np.testing.assert_array_equal(turned, upright(expected))
    assert any("boxes around them" in sentence for sentence in archive.notes.sentences())


@pytest.mark.parametrize(
    ("name", "normal", "folder"),
    [("mvtec", "good", "ground_truth"), ("folders", "normal", "masks")],
)
def test_folders_say_labels_and_types(name: str, normal: str, folder: str, tmp_path: Path) -> None:
    path, archive = export(tmp_path, name)

    paths = zipfile.ZipFile(path).namelist()
    dataset = read(path)

    assert dataset.format.name == name
    labels = {image.path.rsplit("/", 1)[-1]: image.label for image in dataset.images}
    assert labels == {
        "0001.jpg": Label.NORMAL,
        "0001-2.jpg": Label.NORMAL,
        "0001-3.jpg": Label.NORMAL,
        "0002.jpg": Label.ANOMALY,
        "turned.jpg": Label.ANOMALY,
        "plain.jpg": Label.ANOMALY,
    }
    assert f"test/{normal}/0001-3.jpg" in paths
    assert sum(path.startswith(f"{folder}/") for path in paths) == 2
    assert any("image without a label" in text for text in archive.notes.sentences())
    drawn = {path[-10:]: types for path, types in masks(path, tmp_path / "m").items()}
    np.testing.assert_array_equal(drawn["turned.jpg"]["scratch"], SCRATCH)


def test_an_image_that_cannot_be_read_is_left_out_and_named() -> None:
    archive = DatasetArchive(now=NOW)
    lines = [(TRAIN, line("gone.jpg", Label.NORMAL)), LINES[0]]

    data = b"".join(
        export_archive(lines, format_name="coco", read=read_object, archive=archive, now=NOW)
    )

    with zipfile.ZipFile(io.BytesIO(data)) as unpacked:
        assert "images/train/0001.jpg" in unpacked.namelist()
        assert unpacked.read("NOTES.txt").decode() == (
            "s3://bucket/gone.jpg: there is no such object\n"
        )


def test_the_archive_comes_in_parts_as_it_is_written() -> None:
    archive = DatasetArchive(now=NOW)

    chunks = list(
        export_archive(LINES, format_name="all", read=read_object, archive=archive, now=NOW)
    )

    assert sum(bool(chunk) for chunk in chunks) > len(LINES)


@given(mask=arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_outlines_of_blobs_give_their_pixels_again(mask: NDArray[np.bool_]) -> None:
    drawn = np.zeros_like(mask)

    for blob in blobs(mask):
        pixels = fill_outline(blob_outline(blob)[0], mask.shape[::-1])
        assert not (drawn & pixels).any()
        drawn |= pixels

    np.testing.assert_array_equal(drawn, mask)
