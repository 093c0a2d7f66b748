from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from blemish.domain.entities import Label
from blemish.engine.errors import TrainingError
from blemish.engine.images.sizes import ImageSize
from blemish.engine.training.labeled_images import LabeledImage, Progress, TrainingMask
from blemish.engine.training.validation import (
    TrainingSet,
    ValidatedDatasets,
    image_problems,
    training_set,
    validate_datasets,
)
from tests.products import COLORS, LIMITS, draw, labeled, mask_png, normal_images, png


def sized(name: str, width: int, height: int) -> LabeledImage:
    data = png(draw(0, size=(width, height)).pixels)
    return LabeledImage(name=name, label=Label.NORMAL, read=lambda: data)


def broken(name: str) -> LabeledImage:
    return LabeledImage(name=name, label=Label.NORMAL, read=lambda: b"no image")


def cut_off(image: LabeledImage) -> LabeledImage:
    """Return the image without its last pixels; its header stays whole."""
    whole = image.read()
    start = whole.index(b"IDAT") + 200
    return replace(image, read=lambda: whole[:start])


def validated(
    training: Sequence[LabeledImage],
    test: Sequence[LabeledImage] = (),
    *,
    mixed_sizes: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
) -> ValidatedDatasets:
    return validate_datasets(
        training, test, limits=LIMITS, mixed_sizes=mixed_sizes, progress=progress
    )


def set_of(images: Sequence[LabeledImage], *, mixed_sizes: bool = False) -> TrainingSet:
    return training_set(
        validated(images, mixed_sizes=mixed_sizes).training, mixed_sizes=mixed_sizes
    )


def test_images_are_ordered_by_their_content() -> None:
    images = normal_images(6)

    straight, turned = set_of(images), set_of(images[::-1])

    names = [entry.image.name for entry in straight.images]
    assert names == [entry.image.name for entry in turned.images]
    assert [entry.digest for entry in straight.images] == sorted(
        entry.digest for entry in straight.images
    )


def test_the_most_common_size_is_the_size() -> None:
    images = [sized("a", 80, 64), sized("b", 96, 64), sized("c", 96, 64)]
    images[2] = replace(images[2], read=lambda: png(draw(1).pixels))

    assert set_of(images, mixed_sizes=True).size == ImageSize(stored=(96, 64), upright=(96, 64))


def test_of_many_sizes_the_one_with_the_middle_aspect_is_the_size() -> None:
    sizes = [(64, 160), (64, 160), (100, 80), (120, 90), (96, 72), (160, 66), (150, 70)]
    images = [sized(f"{k}", *size) for k, size in enumerate(sizes)]

    assert set_of(images, mixed_sizes=True).size.upright in {(120, 90), (96, 72)}


def test_every_problem_of_both_datasets_is_collected_in_their_order() -> None:
    unknown = TrainingMask(read=lambda: mask_png(draw(7, "hole")), colors={"#23A436": "stain"})
    other_size = TrainingMask(read=lambda: mask_png(draw(7, size=(80, 64))), colors=COLORS)
    training = [
        *normal_images(2),
        sized("odd", 80, 64),
        cut_off(labeled(50)),
        replace(labeled(51, "hole"), mask=unknown),
        replace(labeled(52, "hole"), mask=other_size),
    ]
    test = [labeled(60), broken("unreadable"), sized("other", 64, 64)]

    with pytest.raises(TrainingError) as caught:
        validated(training, test)

    problems = caught.value.problems
    assert [text.split(":")[0] for text in problems] == [
        "odd",
        "normal-50.png",
        "hole-51.png",
        "hole-52.png",
        "unreadable",
        "other",
    ]
    assert problems[0] == (
        "odd: The image has 80 x 64 pixels; it must have 96 x 64 pixels, as most training images."
    )
    assert str(caught.value) == " ".join([*problems[:5], "One more problem was found."])


def test_only_the_first_five_problems_are_in_the_message() -> None:
    with pytest.raises(TrainingError) as caught:
        validated([broken(f"{k}") for k in range(12)])

    assert len(caught.value.problems) == 12
    assert str(caught.value).startswith("0: The file is a text; ")
    assert " 4: The file is a text; " in str(caught.value)
    assert " 5: The file " not in str(caught.value)
    assert str(caught.value).endswith(" 7 more problems were found.")


def test_one_normal_image_under_many_names_is_not_enough() -> None:
    same = labeled(1)
    images = [same, replace(same, name="copy"), labeled(2, "stain"), labeled(3, "stain")]

    with pytest.raises(TrainingError, match="show 1 normal image, copies aside; at least 2"):
        set_of(images)


def test_every_image_is_read_once_and_counted() -> None:
    steps: list[Progress] = []
    reads: list[str] = []

    def counted(image: LabeledImage) -> LabeledImage:
        def read() -> bytes:
            reads.append(image.name)
            return image.read()

        return replace(image, read=read)

    images = [counted(image) for image in normal_images(3)]

    validated(images[:2], images[2:], progress=steps.append)

    assert reads == [image.name for image in images]
    assert steps == [Progress(step="reading images", done=i, total=3) for i in (1, 2, 3)]


def test_an_image_that_the_region_mask_does_not_fit_is_a_problem() -> None:
    images = [sized("alike", 96, 64), sized("other", 80, 64)]

    (problem,) = image_problems(images, limits=LIMITS, expected=None, region_mask_size=(192, 128))

    assert problem.name == "other"
    assert "80 x 64" in problem.reason
    assert "same proportion" in problem.reason
