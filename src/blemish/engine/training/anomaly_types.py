"""Which anomaly types a segmentation head learns, and in which colours it answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from blemish.domain.palette import BACKGROUND, PALETTE
from blemish.engine.bundle import AnomalyType
from blemish.engine.errors import TrainingError
from blemish.engine.training.labeled_images import TrainingMask
from blemish.engine.training.masked_patches import MaskedPatches
from blemish.engine.training.validation import TrainingSet, ValidatedImage


def select_types(
    images: Sequence[MaskedPatches], *, min_masks: int
) -> tuple[list[str], tuple[str, ...]]:
    """Select the anomaly types that enough masks show, at least once without a left-out type.

    A patch with a type that is left out teaches no other type, so a small type that lies only
    beside rare ones has no patch to learn from.

    Args:
        images: images with a mask, and normal images.
        min_masks: the least number of masks for a type.

    Returns:
        the types in alphabetical order, and a sentence for every type that was left out.
    """
    counts = Counter(name for image in images for name in image.shares)
    enough = {name for name in counts if counts[name] >= min_masks}
    selection = {
        name
        for image in images
        for name in enough & image.shares.keys()
        if image.shares[name][image.known(enough)].any()
    }
    notes = tuple(
        f"The anomaly label '{name}' is left out of segmentation: "
        + (
            "in every training image, it shares its patches with labels that are left out."
            if name in enough
            else f"{_masks_show(counts[name])} it; {min_masks} are needed."
        )
        for name in sorted(counts.keys() - selection)
    )
    return sorted(selection), notes


def _masks_show(count: int) -> str:
    return "1 training mask shows" if count == 1 else f"{count} training masks show"


def assign_colors(names: Sequence[str], masks: Iterable[TrainingMask]) -> tuple[AnomalyType, ...]:
    """Give each anomaly type the colour of its masks, so that answers look like the masks.

    A type that was painted in several colours, in the background's, or in one that another type
    has already gets the first free colour of the palette.
    """
    painted: dict[str, set[str]] = defaultdict(set)
    for mask in masks:
        for color, name in mask.colors.items():
            painted[name].add(color.upper())
    taken = {BACKGROUND}
    colors: dict[str, str] = {}
    for name in names:
        if len(painted[name]) == 1 and not painted[name] <= taken:
            (colors[name],) = painted[name]
            taken.add(colors[name])
    for name in names:
        if name not in colors:
            colors[name] = next(color for color in PALETTE if color not in taken)
            taken.add(colors[name])
    return tuple(AnomalyType(name=name, color=colors[name]) for name in names)


def require_masks(images: TrainingSet, *, least: int, held_out: Sequence[ValidatedImage]) -> None:
    """Refuse masks if no anomaly type has enough of them, before the work begins.

    Raises:
        TrainingError: no type has enough; the message has the number of masks of every type.
    """
    counts = Counter(name for entry in images.images for name in entry.anomaly_types)
    if counts and max(counts.values()) < least:
        listed = ", ".join(f"'{name}' in {count:,}" for name, count in sorted(counts.items()))
        raise TrainingError(
            f"The masks teach no anomaly label: at least {least} training images must show one, "
            f"and the masks show {listed}. {_held_out_text(images, held_out)}"
            "Add masks, or remove all to train without them."
        )


def _held_out_text(images: TrainingSet, held_out: Sequence[ValidatedImage]) -> str:
    """Return how many masks the automatic split took for the test, as a sentence."""
    count = sum(bool(entry.anomaly_types) for entry in held_out)
    if not count:
        return ""
    total = count + sum(bool(entry.anomaly_types) for entry in images.images)
    verb = "is" if count == 1 else "are"
    return (
        f"Without a test dataset, {count:,} of your {total:,} masked images {verb} held out for "
        "the test. "
    )
