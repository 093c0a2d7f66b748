"""A first look at the training images: their hashes and sizes, and what is wrong with them.

Only headers are read here. What shows when pixels are decoded is added by `gathering`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from blemish.domain.entities import Label
from blemish.engine.errors import TrainingError
from blemish.engine.images.decode import ImageError
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.sizes import ImageSize, check_size
from blemish.engine.training.labeled_images import LabeledImage, Progress, ProgressCallback
from blemish.engine.training.problems import Problems

MIN_NORMAL = 2
"""Different normal images without which none can be held out."""


@dataclass(frozen=True, kw_only=True)
class ValidatedImage:
    """A labelled image whose header could be read."""

    #: among the images that were given
    place: int
    image: LabeledImage
    #: SHA-256 of the image's bytes
    digest: bytes
    size: ImageSize


@dataclass(frozen=True, kw_only=True)
class ValidatedImages:
    """What the headers say."""

    #: in the order of their digests, so that nothing depends on the order they came in
    images: tuple[ValidatedImage, ...]
    #: the most common size; of images that differ, one of the middle aspect
    size: ImageSize
    problems: Problems


def validate_images(
    images: Sequence[LabeledImage], *, mixed_sizes: bool, progress: ProgressCallback
) -> ValidatedImages:
    """Read every image's header.

    Raises:
        TrainingError: fewer than `MIN_NORMAL` different normal images have a header that can be
            read.
    """
    problems, images_with_header = Problems(), []
    for place, image in enumerate(images):
        try:
            data = image.read()
            header = read_image_header(data)
        except ImageError as error:
            problems.add(place, image, error)
        else:
            size = ImageSize.of(header.size, orientation=header.orientation)
            digest = hashlib.sha256(data).digest()
            images_with_header.append(
                ValidatedImage(place=place, image=image, digest=digest, size=size)
            )
        progress(Progress(step="reading images", done=place + 1, total=len(images)))
    _require_normal_images(images_with_header, problems)
    images_with_header.sort(key=lambda each: (each.digest, each.image.label, each.image.name))
    common = _usual_size([each.size for each in images_with_header], mixed=mixed_sizes)
    if not mixed_sizes:
        for each in images_with_header:
            try:
                check_size(each.size, expected=common)
            except ImageError as error:
                problems.add(each.place, each.image, error)
    return ValidatedImages(images=tuple(images_with_header), size=common, problems=problems)


def _usual_size(sizes: Sequence[ImageSize], *, mixed: bool) -> ImageSize:
    """Return the most common size or, where most may and do differ from it, that in the middle.

    In the middle is the one with the median aspect: where hardly two are alike, the most common
    size is a matter of chance, and may be a narrow one.
    """
    counts = Counter(sizes)
    common = min(counts, key=lambda size: (-counts[size], size))
    if not mixed or 2 * counts[common] >= len(sizes):
        return common

    def aspect(size: ImageSize) -> float:
        width, height = size.upright
        return width / height

    return sorted(sizes, key=lambda size: (aspect(size), size))[len(sizes) // 2]


def _require_normal_images(
    images_with_header: Sequence[ValidatedImage], problems: Problems
) -> None:
    distinct = {each.digest for each in images_with_header if each.image.label is Label.NORMAL}
    if len(distinct) >= MIN_NORMAL:
        return
    problems.raise_if_any()
    raise TrainingError(
        f"The training images show {len(distinct)} different normal images; at least "
        f"{MIN_NORMAL} are needed."
    )
