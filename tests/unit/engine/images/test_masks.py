import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from blemish.domain.entities import Label, MaskOrientation
from blemish.engine.errors import TrainingError
from blemish.engine.images.formats import ImageError
from blemish.engine.images.masks import decode_mask
from blemish.engine.images.orientation import turn, turn_back
from blemish.engine.training.dataset_notes import dataset_notes
from blemish.engine.training.labeled_images import LabeledImage, TrainingMask
from blemish.engine.training.validation import ValidatedDatasets, validate_datasets
from tests.products import LIMITS

COLORS = {"#23A436": "stain", "#14A3B3": "hole", "#FFFFFF": "background"}
GREEN = (0x23, 0xA4, 0x36)


def encoded(pixels: NDArray[np.uint8], file_format: str = "PNG", *, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, file_format, exif=exif)
    return buffer.getvalue()


def painted(shape: tuple[int, int], color: Sequence[int] = GREEN) -> NDArray[np.uint8]:
    """White, with a square in the upper left."""
    channels = len(color)
    mask = np.full((*shape, channels), 255, np.uint8)
    mask[2:10, 3:12] = color
    return mask


def image_with(
    mask: bytes, *, shape: tuple[int, int] = (64, 80), orientation: int = 1, name: str = "image"
) -> LabeledImage:
    data = encoded(np.zeros((*shape, 3), np.uint8), orientation=orientation)
    return LabeledImage(
        name=name,
        label=Label.ANOMALY,
        read=lambda: data,
        mask=TrainingMask(read=lambda: mask, colors=COLORS),
    )


def validated(*images: LabeledImage) -> ValidatedDatasets:
    return validate_datasets(images, limits=LIMITS, mixed_sizes=True, progress=lambda _: None)


@given(
    orientation=st.integers(1, 8),
    shape=st.tuples(st.integers(16, 40), st.integers(16, 40)),
    is_upright=st.booleans(),
)
def test_a_mask_lies_where_it_was_drawn_if_its_size_or_a_word_says_so(
    orientation: int, shape: tuple[int, int], is_upright: bool
) -> None:
    upright = painted(shape)
    stored = turn_back(upright, orientation)
    drawn = MaskOrientation.UPRIGHT if is_upright else MaskOrientation.STORED

    masks = decode_mask(
        encoded(upright if is_upright else stored),
        colors=COLORS,
        size=(stored.shape[1], stored.shape[0]),
        orientation=orientation,
        drawn=drawn,
    )

    assert (turn(masks["stain"], orientation) == (upright[..., 0] != 255)).all()


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_that_fits_the_upright_image_alone_is_upright_without_a_word(
    orientation: int,
) -> None:
    upright = painted((30, 20))

    masks = decode_mask(encoded(upright), colors=COLORS, size=(30, 20), orientation=orientation)

    assert (turn(masks["stain"], orientation) == (upright[..., 0] != 255)).all()


def test_a_mask_that_fits_both_ways_is_as_stored_with_a_note() -> None:
    turned = [
        image_with(encoded(painted((64, 80))), orientation=3, name=f"turned-{k}") for k in range(4)
    ]
    square = image_with(encoded(painted((64, 64))), shape=(64, 64), orientation=6, name="square")
    plain = image_with(encoded(painted((64, 80))), name="plain")

    (note,) = dataset_notes(validated(*turned, square, plain).training, ())

    assert note == (
        "5 masks fit their images both as stored and as turned upright by EXIF; they were read as "
        "stored: turned-0, turned-1, turned-2, 2 more. If masks are drawn on upright images, set "
        "BLEMISH_MASK_ORIENTATION to upright, or mask-orientation in the manifest."
    )


def test_a_word_about_the_orientation_leaves_nothing_to_note() -> None:
    image = image_with(encoded(painted((64, 80))), orientation=3)
    assert image.mask is not None
    said = replace(image, mask=replace(image.mask, orientation=MaskOrientation.STORED))

    assert dataset_notes(validated(said).training, ()) == ()


@pytest.mark.parametrize(
    ("drawn", "shape"),
    [(MaskOrientation.STORED, (80, 64)), (MaskOrientation.UPRIGHT, (64, 80))],
    ids=["stored", "upright"],
)
def test_a_mask_that_fits_only_the_other_way_than_said_is_noted(
    drawn: MaskOrientation, shape: tuple[int, int]
) -> None:
    image = image_with(encoded(painted(shape)), orientation=6)
    fitting = image_with(encoded(painted(shape[::-1])), orientation=6, name="fitting")
    said = []
    for entry in (image, fitting):
        assert entry.mask is not None
        said.append(replace(entry, mask=replace(entry.mask, orientation=drawn)))

    (note,) = dataset_notes(validated(said[0]).training, ())

    assert note.startswith("1 mask has another orientation than mask-orientation in the manifest")
    assert note.endswith("which EXIF turns: image.")
    assert dataset_notes(validated(said[1]).training, ()) == ()


def test_a_mask_that_fits_neither_way_names_both_sizes() -> None:
    with pytest.raises(ImageError, match=r"its image 30 x 20 \(20 x 30 upright\)"):
        decode_mask(encoded(painted((30, 30))), colors=COLORS, size=(30, 20), orientation=6)


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.full((64, 80, 3), 255, np.uint8), ["shows no anomaly", "#FFFFFF (5,120 pixels)"]),
        (
            painted((64, 80), (*GREEN, 100)),
            ["shows no anomaly", "#23A436, 39% opaque (72 pixels"],
        ),
        (painted((64, 80), (0x30, 0xA0, 0x40)), ["#30A040 is nearest to #23A436 of stain"]),
        (painted((64, 80), (0x50, 0xB7, 0x60)), ["#50B760 is nearest to #23A436 of stain"]),
    ],
    ids=["white", "opacity", "off the palette", "anti-aliased"],
)
def test_a_mask_that_teaches_nothing_is_a_problem_with_its_colours(
    mask: NDArray[np.uint8], words: list[str]
) -> None:
    with pytest.raises(TrainingError) as caught:
        validated(image_with(encoded(mask), name="bad"))

    (problem,) = caught.value.problems
    assert problem.startswith("bad: ")
    assert all(text in problem for text in words)


def test_a_jpeg_mask_is_a_problem_with_its_colours() -> None:
    with pytest.raises(TrainingError) as caught:
        validated(image_with(encoded(painted((64, 80)), "JPEG"), name="bad"))

    (problem,) = caught.value.problems
    assert problem.startswith("bad: The mask is a JPEG image; a mask must be a PNG image. Its ")
    assert "nearest to #23A436 of stain" in problem


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (b"", "The mask s3://b/m.png is empty; a mask must be a PNG image."),
        (b"GIF89a", "The mask s3://b/m.png is a GIF image; a mask must be a PNG image."),
        (b"no image", "The mask s3://b/m.png is a text; a mask must be a PNG image."),
        (encoded(painted((64, 80)))[:20], "The mask s3://b/m.png is truncated"),
        (encoded(painted((64, 80)))[:80], "The mask s3://b/m.png is truncated"),
        (encoded(painted((64, 80)), "JPEG")[:300], "The mask s3://b/m.png is truncated"),
    ],
    ids=["empty", "GIF", "text", "header", "pixels", "JPEG"],
)
def test_a_mask_that_is_no_whole_png_is_named_instead_of_its_image(
    mask: bytes, sentence: str
) -> None:
    image = image_with(mask, name="image")
    assert image.mask is not None

    with pytest.raises(TrainingError) as caught:
        validated(replace(image, mask=replace(image.mask, name="s3://b/m.png")))

    assert caught.value.problems[0].startswith(f"image: {sentence}")


def test_an_empty_mask_of_a_normal_image_is_no_problem() -> None:
    image = image_with(encoded(np.full((64, 80, 3), 255, np.uint8)))

    assert validated(replace(image, label=Label.NORMAL)).training[0].anomaly_types == frozenset()
