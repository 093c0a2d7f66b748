"""Notes of a training about its datasets, which report every decision that it made for the user."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from blemish.domain.entities import Label
from blemish.engine.training.validation import ValidatedImage

MAX_NAMED = 3
"""The most images that a note names."""


def dataset_notes(
    training: Sequence[ValidatedImage], test: Sequence[ValidatedImage]
) -> tuple[str, ...]:
    """Return sentences about identical images, and about masks that fit in two ways."""
    return tuple(_notes(training, test))


def _notes(training: Sequence[ValidatedImage], test: Sequence[ValidatedImage]) -> Iterator[str]:
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
    ambiguous = [[image] for image in (*training, *test) if image.is_mask_ambiguous]
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
