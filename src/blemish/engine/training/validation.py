"""Validation: every image of a training is read, hashed and decoded once before the work begins."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from blemish.domain.entities import Label
from blemish.engine.errors import TrainingError
from blemish.engine.images.decode import DecodedImage, decode
from blemish.engine.images.formats import ImageError
from blemish.engine.images.masks import (
    decode_mask,
    empty_mask_error,
    fits_both_ways,
    is_drawn_otherwise,
)
from blemish.engine.images.regions import check_aspect
from blemish.engine.images.sizes import ImageLimits, ImageSize, check_size, common_size
from blemish.engine.training.labeled_images import LabeledImage, Progress, ProgressCallback
from blemish.engine.training.problems import ImageProblem, Problems

MIN_NORMAL = 2
"""The least number of different normal images; with fewer, none can be held out."""

SMALLEST = (1, 1)
"""JPEGs are decoded at 1/8 of their size, which detects the same damage faster."""


@dataclass(frozen=True, kw_only=True)
class ValidatedImage:
    """A labelled image whose file can be decoded, and its mask's."""

    #: among all images of the training
    position: int
    image: LabeledImage
    #: SHA-256 of the image's bytes
    digest: bytes
    size: ImageSize
    #: range of its samples, 8 to 16; None for an image of 8 bits
    sample_bits: int | None
    #: that its mask shows
    anomaly_types: frozenset[str]
    #: whether its mask fits the image as stored and upright, and nothing says how it is drawn
    is_mask_ambiguous: bool
    #: whether its mask fits the image one way alone, and is said to be drawn the other way
    is_mask_drawn_otherwise: bool
    #: whether it is labelled normal though its mask shows an anomaly; `image` is without that mask
    has_contradicting_mask: bool
    #: EXIF, 1 to 8
    orientation: int = 1


@dataclass(frozen=True, kw_only=True)
class ValidatedDatasets:
    """The images to train on and those to test on, in their order; none has a problem."""

    training: tuple[ValidatedImage, ...]
    test: tuple[ValidatedImage, ...]


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """The images that a detector is trained on."""

    #: in the order of their digests, so that nothing depends on their order in the dataset
    images: tuple[ValidatedImage, ...]
    #: the most common size; if most sizes differ, the one with the median aspect
    size: ImageSize
    #: the range of samples that the detector expects; None if all images have 8 bits
    sample_bits: int | None


def validate_datasets(
    training: Sequence[LabeledImage],
    test: Sequence[LabeledImage] = (),
    *,
    limits: ImageLimits,
    mixed_sizes: bool,
    progress: ProgressCallback,
) -> ValidatedDatasets:
    """Read and decode every image and every mask.

    Args:
        training: the images to train on.
        test: the images to test on; empty if they are still to be split off.
        limits: how large an image may be.
        mixed_sizes: whether images may differ in size.
        progress: called after each image.

    Raises:
        TrainingError: images or masks cannot be used; the error has all problems.
    """
    problems, validated = Problems(), list[ValidatedImage]()
    images = [*training, *test]
    for position, image in enumerate(images):
        entry = _validate(position, image, limits=limits, problems=problems)
        if entry:
            validated.append(entry)
        progress(Progress(step="reading images", done=position + 1, total=len(images)))
    training_images = tuple(entry for entry in validated if entry.position < len(training))
    if training_images and not mixed_sizes:
        _check_sizes(
            validated,
            expected=common_size([entry.size for entry in training_images]),
            problems=problems,
        )
    problems.raise_if_any()
    return ValidatedDatasets(
        training=training_images, test=tuple(validated[len(training_images) :])
    )


def image_problems(
    images: Sequence[LabeledImage],
    *,
    limits: ImageLimits,
    expected: ImageSize | None,
    region_mask_size: tuple[int, int] | None = None,
) -> tuple[ImageProblem, ...]:
    """Return the problems of some images and their masks.

    Args:
        images: some images of a dataset.
        limits: how large an image may be.
        expected: the size that they must have; None if sizes may differ.
        region_mask_size: (width, height) of the region mask; None without one.
    """
    problems, validated = Problems(), list[ValidatedImage]()
    for position, image in enumerate(images):
        entry = _validate(position, image, limits=limits, problems=problems)
        if entry:
            validated.append(entry)
    if expected:
        _check_sizes(validated, expected=expected, problems=problems)
    if region_mask_size:
        for entry in validated:
            try:
                check_aspect(entry.size.stored, mask=region_mask_size)
            except ImageError as error:
                problems.add(entry.position, entry.image, error)
    return problems.sorted()


def training_set(images: Sequence[ValidatedImage], *, mixed_sizes: bool) -> TrainingSet:
    """Return images in the order of their digests, with the size that a detector expects.

    Raises:
        TrainingError: there are fewer than `MIN_NORMAL` different normal images, or images of
            another size than most.
    """
    distinct = {entry.digest for entry in images if entry.image.label is Label.NORMAL}
    if len(distinct) < MIN_NORMAL:
        count = len(distinct)
        shown = "1 normal image, copies aside" if count == 1 else f"{count} different normal images"
        raise TrainingError(f"The training images show {shown}; at least {MIN_NORMAL} are needed.")
    size = common_size([entry.size for entry in images])
    if mixed_sizes:
        size = _median_size(images, common=size)
    else:
        problems = Problems()
        _check_sizes(images, expected=size, problems=problems)
        problems.raise_if_any()
    ordered = sorted(images, key=lambda entry: (entry.digest, entry.image.label, entry.image.name))
    ranges = [entry.sample_bits for entry in images if entry.sample_bits is not None]
    return TrainingSet(images=tuple(ordered), size=size, sample_bits=max(ranges, default=None))


def _validate(
    position: int, image: LabeledImage, *, limits: ImageLimits, problems: Problems
) -> ValidatedImage | None:
    """Read and decode an image and its mask; add what is wrong with them to `problems`."""
    try:
        data = image.read()
        decoded = decode(data, limits=limits, at_least=SMALLEST)
        anomaly_types = _mask_types(image, decoded)
    except ImageError as error:
        problems.add(position, image, error)
        return None
    contradicts = image.label is Label.NORMAL and bool(anomaly_types)
    if contradicts:
        image, anomaly_types = replace(image, mask=None), frozenset()
    return ValidatedImage(
        position=position,
        image=image,
        digest=hashlib.sha256(data).digest(),
        size=ImageSize.of(decoded.stored_size, orientation=decoded.orientation),
        sample_bits=decoded.used_bits,
        anomaly_types=anomaly_types,
        is_mask_ambiguous=(
            image.mask is not None
            and image.mask.orientation is None
            and fits_both_ways(decoded.stored_size, decoded.orientation)
        ),
        is_mask_drawn_otherwise=_is_drawn_otherwise(image, decoded),
        has_contradicting_mask=contradicts,
        orientation=decoded.orientation,
    )


def _is_drawn_otherwise(image: LabeledImage, decoded: DecodedImage) -> bool:
    """Return whether the size of an image's mask contradicts its orientation in the dataset."""
    if image.mask is None or image.mask.orientation is None or decoded.orientation == 1:
        return False
    return is_drawn_otherwise(
        image.mask.read(),
        size=decoded.stored_size,
        orientation=decoded.orientation,
        drawn=image.mask.orientation,
    )


def _mask_types(image: LabeledImage, decoded: DecodedImage) -> frozenset[str]:
    """Return the anomaly types that an image's mask shows.

    Raises:
        ImageError: the mask cannot be used, or shows nothing though the image is an anomaly.
    """
    if image.mask is None:
        return frozenset()
    data = image.mask.read()
    masks = decode_mask(
        data,
        colors=image.mask.colors,
        size=decoded.stored_size,
        orientation=decoded.orientation,
        drawn=image.mask.orientation,
        name=image.mask.name,
    )
    if not masks and image.label is Label.ANOMALY:
        raise empty_mask_error(data, colors=image.mask.colors)
    return frozenset(masks)


def _check_sizes(
    images: Sequence[ValidatedImage], *, expected: ImageSize, problems: Problems
) -> None:
    for entry in images:
        try:
            check_size(entry.size, expected=expected)
        except ImageError as error:
            problems.add(entry.position, entry.image, error)


def _median_size(images: Sequence[ValidatedImage], *, common: ImageSize) -> ImageSize:
    """Return the common size if at least half of the images have it, else the median aspect's.

    Where hardly two images have one size, the most common one is a matter of chance, and may be
    narrow.
    """
    sizes = [entry.size for entry in images]
    if 2 * sizes.count(common) >= len(sizes):
        return common

    def aspect(size: ImageSize) -> float:
        width, height = size.upright
        return width / height

    return sorted(sizes, key=lambda size: (aspect(size), size))[len(sizes) // 2]
