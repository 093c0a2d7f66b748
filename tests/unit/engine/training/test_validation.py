from dataclasses import replace

import pytest

from blemish.domain.entities import Label
from blemish.engine.errors import TrainingError
from blemish.engine.images.sizes import ImageSize
from blemish.engine.training.labeled_images import LabeledImage, Progress
from blemish.engine.training.validation import validate_images
from tests.products import draw, labeled, normal_images, png


def sized(name: str, width: int, height: int) -> LabeledImage:
    data = png(draw(0, size=(width, height)).pixels)
    return LabeledImage(name=name, label=Label.NORMAL, read=lambda: data)


def broken(name: str) -> LabeledImage:
    return LabeledImage(name=name, label=Label.NORMAL, read=lambda: b"no image")


def test_images_are_ordered_by_their_content() -> None:
    images = normal_images(6)

    straight = validate_images(images, mixed_sizes=False, progress=lambda _: None)
    turned = validate_images(images[::-1], mixed_sizes=False, progress=lambda _: None)

    names = [each.image.name for each in straight.images]
    assert names == [each.image.name for each in turned.images]
    assert [each.digest for each in straight.images] == sorted(
        each.digest for each in straight.images
    )


def test_the_most_common_size_is_the_size() -> None:
    images = [sized("a", 80, 64), sized("b", 96, 64), sized("c", 96, 64)]
    images[2] = replace(images[2], read=lambda: png(draw(1).pixels))

    validated = validate_images(images, mixed_sizes=True, progress=lambda _: None)

    assert validated.size == ImageSize(stored=(96, 64), upright=(96, 64))
    assert validated.problems.found == {}


def test_of_many_sizes_the_one_with_the_middle_aspect_is_the_size() -> None:
    sizes = [(64, 160), (64, 160), (100, 80), (120, 90), (96, 72), (160, 66), (150, 70)]
    images = [sized(f"{k}", *size) for k, size in enumerate(sizes)]

    validated = validate_images(images, mixed_sizes=True, progress=lambda _: None)

    assert validated.size.upright in {(120, 90), (96, 72)}


def test_other_sizes_are_problems_in_the_order_of_the_data_set() -> None:
    images = [*normal_images(3), sized("odd", 80, 64), labeled(9), sized("odder", 64, 64)]

    validated = validate_images(images, mixed_sizes=False, progress=lambda _: None)

    with pytest.raises(
        TrainingError,
        match=r"^odd: The image has 80 x 64 pixels; it must have 96 x 64 pixels, as most "
        r"training images\. One more image cannot be used\.$",
    ):
        validated.problems.raise_if_any()


def test_what_is_no_image_is_counted() -> None:
    images = [broken("x"), *normal_images(2), broken("y"), broken("z")]

    validated = validate_images(images, mixed_sizes=False, progress=lambda _: None)

    with pytest.raises(TrainingError, match=r"^x: .*JPEG or PNG.* 2 more images cannot be used"):
        validated.problems.raise_if_any()


def test_only_broken_images_are_named_as_such() -> None:
    with pytest.raises(TrainingError, match=r"^x: .*One more image cannot be used"):
        validate_images([broken("x"), broken("y")], mixed_sizes=False, progress=lambda _: None)


def test_one_normal_image_under_many_names_is_not_enough() -> None:
    same = labeled(1)
    images = [same, replace(same, name="copy"), labeled(2, "stain"), labeled(3, "stain")]

    with pytest.raises(TrainingError, match="show 1 different normal images; at least 2"):
        validate_images(images, mixed_sizes=False, progress=lambda _: None)


def test_progress_counts_every_image() -> None:
    steps: list[Progress] = []

    validate_images(normal_images(3), mixed_sizes=False, progress=steps.append)

    assert steps == [Progress(step="reading images", done=i, total=3) for i in (1, 2, 3)]
