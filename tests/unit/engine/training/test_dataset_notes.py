from dataclasses import replace

import numpy as np
import pytest

from blemish.domain.entities import Label
from blemish.engine.training.dataset_notes import dataset_notes, unused_anomaly_notes
from blemish.engine.training.labeled_images import LabeledImage, TrainingMask
from blemish.engine.training.validation import validate_datasets
from tests.products import COLORS, LIMITS, draw, labeled, mask_png, png


def of_bits(bits: int, name: str) -> LabeledImage:
    """Return an image of 16 bits that uses some, or one of 8; the name changes its bytes."""
    if bits == 8:
        return replace(labeled(len(name)), name=name)
    data = png(np.full((64, 96), 2**bits - len(name), np.uint16))
    return LabeledImage(name=name, label=Label.NORMAL, read=lambda: data)


def notes_of(training: list[LabeledImage], test: list[LabeledImage]) -> tuple[str, ...]:
    datasets = validate_datasets(
        training, test, limits=LIMITS, mixed_sizes=True, progress=lambda _: None
    )
    return dataset_notes(datasets.training, datasets.test)


def test_test_images_with_more_bits_than_the_training_are_counted_and_named() -> None:
    test = [of_bits(bits, f"test-{bits}") for bits in (10, 11, 12, 13, 14)]

    (note,) = notes_of([of_bits(10, "training"), of_bits(8, "8 bits")], test)

    assert note == (
        "4 test images use more than the 10 bits per sample of the training images; values above "
        "1,023 count as white: test-11, test-12, test-13, 1 more."
    )


@pytest.mark.parametrize(("training_bits", "words"), [(8, "have 8 bits"), (16, "use 16 bits")])
def test_test_images_that_use_far_fewer_bits_are_counted_and_named(
    training_bits: int, words: str
) -> None:
    test = [of_bits(bits, f"test-{bits}") for bits in (8, 12, 14, 16)]

    (note,) = notes_of([of_bits(training_bits, "training")], test)

    assert note.startswith("1 test image of 16 bits uses far fewer bits per sample than the model")
    assert f"dark to it: test-12. The training images {words}" in note


def test_a_mask_that_shows_an_anomaly_on_a_normal_image_is_not_used_and_noted() -> None:
    data = mask_png(draw(5, "stain"))
    mask = TrainingMask(read=lambda: data, colors=COLORS)
    contradicting = replace(labeled(5), mask=mask)

    datasets = validate_datasets(
        [contradicting], [labeled(6)], limits=LIMITS, mixed_sizes=False, progress=lambda _: None
    )

    (image,) = datasets.training
    assert (image.image.mask, image.anomaly_types) == (None, frozenset())
    assert dataset_notes(datasets.training, datasets.test) == (
        "1 image is labelled as normal, with a mask that shows an anomaly; the label counts, and "
        "the mask is not used: normal-5.png.",
    )


@pytest.mark.parametrize(
    ("anomalies", "has_heads", "is_said"),
    [(0, False, False), (3, False, True), (3, True, False), (10, False, False)],
)
def test_a_few_anomalies_that_teach_nothing_are_named(
    anomalies: int, has_heads: bool, is_said: bool
) -> None:
    notes = unused_anomaly_notes(anomalies, has_heads=has_heads)

    assert notes == (
        (
            "Scores are learned from normal images alone: 3 anomalies did not improve the "
            "verdicts on held-out images.",
        )
        if is_said
        else ()
    )
