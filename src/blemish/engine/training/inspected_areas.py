"""Regions in a training: which images they fit, and what counts at each resolution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from blemish.domain.entities import Label
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.bundle import BundleRegions
from blemish.engine.errors import TrainingError
from blemish.engine.images.formats import ImageError
from blemish.engine.images.masks import decode_mask
from blemish.engine.images.regions import InspectedArea, Regions, check_aspect
from blemish.engine.training.problems import Problems
from blemish.engine.training.validation import TrainingSet, ValidatedImage


def usable_images(
    images: TrainingSet, regions: Regions | None
) -> tuple[TrainingSet, tuple[str, ...]]:
    """Return the images that teach something where it counts, with notes about the others.

    Raises:
        TrainingError: images have other proportions than the region mask.
    """
    if regions is None:
        return images, ()
    check_regions(images.images, regions)
    usable = tuple(entry for entry in images.images if not _is_ignored(entry, regions))
    count = len(images.images) - len(usable)
    if not count:
        return images, ()
    subject = "1 anomaly is" if count == 1 else f"{count:,} anomalies are"
    note = f"{subject} not used: the mask shows it only where the regions ignore the image."
    return replace(images, images=usable), (note,)


def check_regions(images: Sequence[ValidatedImage], regions: Regions) -> None:
    """Check that the region mask can be scaled to every image.

    Raises:
        TrainingError: it cannot; the error has all images.
    """
    problems = Problems()
    for entry in images:
        try:
            check_aspect(entry.size.stored, mask=regions.size)
        except ImageError as error:
            problems.add(entry.position, entry.image, error)
    problems.raise_if_any()


def inspected_area(
    images: TrainingSet, regions: Regions | None, embedder: Embedder
) -> InspectedArea | None:
    """Return what counts in the image that a graph sees; None for everything.

    Raises:
        TrainingError: nothing counts.
    """
    if regions is None:
        return None
    try:
        return regions.area(
            orientation=usual_orientation(images), size=embedder.size, grid=embedder.grid
        )
    except ImageError as error:
        raise TrainingError(str(error)) from None


def bundle_regions(
    images: TrainingSet, regions: Regions, area: InspectedArea, *, grid: tuple[int, int]
) -> BundleRegions:
    """Return what a bundle says of its regions."""
    return BundleRegions(
        mask_size=regions.size,
        orientation=usual_orientation(images),
        grid=grid,
        inspected_share=float(area.pixels.mean()),
    )


def usual_orientation(images: TrainingSet) -> int:
    """Return the most common EXIF orientation of the images."""
    counts = Counter(entry.orientation for entry in images.images)
    return min(counts, key=lambda orientation: (-counts[orientation], orientation))


def _is_ignored(entry: ValidatedImage, regions: Regions) -> bool:
    """Return whether the mask of an anomaly shows it only where nothing counts."""
    mask = entry.image.mask
    if entry.image.label is not Label.ANOMALY or mask is None:
        return False
    masks = decode_mask(
        mask.read(),
        colors=mask.colors,
        size=entry.size.stored,
        orientation=entry.orientation,
        drawn=mask.orientation,
    )
    inspected = regions.at(entry.size.stored)
    return not any((pixels & inspected).any() for pixels in masks.values())
