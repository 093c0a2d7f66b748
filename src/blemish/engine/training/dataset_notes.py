"""Notes of a training about its datasets, which report every decision that it made for the user."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from blemish.domain.entities import Label
from blemish.engine.images.samples import FULL_RANGE, MAX_RANGE_DIFFERENCE
from blemish.engine.training.calibration import MIN_ANOMALIES
from blemish.engine.training.validation import ValidatedImage

MAX_NAMED = 3
"""The most images that a note names."""


def dataset_notes(
    training: Sequence[ValidatedImage], test: Sequence[ValidatedImage]
) -> tuple[str, ...]:
    """Return sentences about identical images, the ranges of test images, and masks."""
    return (
        *_identity_notes(training, test),
        *_range_notes(training, test),
        *_mask_notes([*training, *test]),
    )


def unused_anomaly_notes(anomalies: int, *, has_heads: bool) -> tuple[str, ...]:
    """Return a sentence if no score learns from the labelled anomalies.

    Args:
        anomalies: different images that are labelled as anomalies.
        has_heads: whether the detector learns from them.
    """
    if has_heads or not 0 < anomalies < MIN_ANOMALIES:
        return ()
    return (
        f"Scores are learned from normal images alone: {_count(anomalies, 'anomaly', 'anomalies')} "
        "did not improve the verdicts on held-out images.",
    )


def cross_validation_notes(*, held_out: int, added: int, left_out: int) -> tuple[str, ...]:
    """Return sentences about performance that is measured by cross-validation.

    Args:
        held_out: images that the model was not trained on.
        added: images that cross-validation scored.
        left_out: images that neither has.
    """
    note = (
        f"Performance is cross-validated over {held_out + added:,} images, because only "
        f"{_count(held_out, 'image was', 'images were')} held out: the others were judged by "
        "detectors that had not seen them."
    )
    if not left_out:
        return (note,)
    return (note, f"{_count(left_out, 'image was', 'images were')} not cross-validated.")


def _identity_notes(
    training: Sequence[ValidatedImage], test: Sequence[ValidatedImage]
) -> Iterator[str]:
    by_digest: dict[bytes, list[ValidatedImage]] = defaultdict(list)
    for image in (*training, *test):
        by_digest[image.digest].append(image)
    both_labels = [
        copies for copies in by_digest.values() if {copy.image.label for copy in copies} == {*Label}
    ]
    if both_labels:
        yield (
            f"{_count(len(both_labels), 'image is', 'images are')} labelled as normal and as "
            f"anomaly in identical files: {_names(both_labels)}."
        )
    positions = {image.position for image in test}
    both_sets = [
        copies
        for copies in by_digest.values()
        if len({copy.position in positions for copy in copies}) == 2
    ]
    if both_sets:
        yield (
            f"{_count(len(both_sets), 'image is', 'images are')} in the training dataset and in "
            f"the test dataset, which makes the metrics look better: {_names(both_sets)}."
        )


def _range_notes(
    training: Sequence[ValidatedImage], test: Sequence[ValidatedImage]
) -> Iterator[str]:
    """Yield sentences about test images whose samples do not fit the range of the model."""
    ranges = [image.sample_bits for image in training if image.sample_bits is not None]
    model_bits = max(ranges, default=FULL_RANGE)
    bits_of = [(image, image.sample_bits) for image in test if image.sample_bits is not None]
    clipped = [[image] for image, bits in bits_of if bits > model_bits]
    if clipped:
        yield (
            f"{_count(len(clipped), 'test image uses', 'test images use')} more than the "
            f"{model_bits} bits per sample of the training images; values above "
            f"{2**model_bits - 1:,} count as white: {_names(clipped)}."
        )
    dark = [[image] for image, bits in bits_of if bits < model_bits - MAX_RANGE_DIFFERENCE]
    if dark:
        reason = (
            f"The training images use {model_bits} bits"
            if ranges
            else "The training images have 8 bits, so the model uses the high byte of 16-bit images"
        )
        yield (
            f"{_count(len(dark), 'test image of 16 bits uses', 'test images of 16 bits use')} far "
            f"fewer bits per sample than the model expects, and may look dark to it: "
            f"{_names(dark)}. {reason}."
        )


def _mask_notes(images: Sequence[ValidatedImage]) -> Iterator[str]:
    contradicting = [[image] for image in images if image.has_contradicting_mask]
    if contradicting:
        count = _count(len(contradicting), "image is", "images are")
        yield (
            f"{count} labelled as normal, with a mask that shows an anomaly; the label counts, and "
            f"the mask is not used: {_names(contradicting)}."
        )
    otherwise = [[image] for image in images if image.is_mask_drawn_otherwise]
    if otherwise:
        yield (
            f"{_count(len(otherwise), 'mask has', 'masks have')} another orientation than "
            "mask-orientation in the manifest or BLEMISH_MASK_ORIENTATION says; they were read "
            f"the only way that fits their images, which EXIF turns: {_names(otherwise)}."
        )
    ambiguous = [[image] for image in images if image.is_mask_ambiguous]
    if ambiguous:
        yield (
            f"{_count(len(ambiguous), 'mask fits its image', 'masks fit their images')} both as "
            "stored and as turned upright by EXIF; they were read as stored: "
            f"{_names(ambiguous)}. If masks are drawn on upright images, set "
            "BLEMISH_MASK_ORIENTATION to upright, or mask-orientation in the manifest."
        )


def _count(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _names(groups: Sequence[Sequence[ValidatedImage]]) -> str:
    """Return the names of the first images; identical ones are joined."""
    named = [" = ".join(copy.image.name for copy in copies[:2]) for copies in groups[:MAX_NAMED]]
    more = len(groups) - len(named)
    return ", ".join([*named, *([f"{more:,} more"] if more else [])])
