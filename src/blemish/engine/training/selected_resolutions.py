"""The resolutions at which a training learns: one, or two where labels compare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blemish.domain.entities import Label
from blemish.engine.backbones.backbone import Backbone
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.images.decode import ImageLimits
from blemish.engine.images.regions import Regions
from blemish.engine.training.calibration import MIN_ANOMALIES
from blemish.engine.training.features import MIN_ROOM, recomputes, room_for
from blemish.engine.training.labeled_images import ProgressCallback
from blemish.engine.training.resolution_trial import try_resolutions
from blemish.engine.training.resolutions import input_sizes
from blemish.engine.training.validation import TrainingSet

MUCH_LARGER = 2
"""Labels compare two resolutions of images so many times as large as the higher one, whatever the
trial says."""


@dataclass(frozen=True, kw_only=True)
class SelectedResolutions:
    """The resolutions of a training, the lowest first."""

    embedders: Sequence[Embedder]
    #: sentences for people that explain a selection without labels
    notes: tuple[str, ...] = ()


def labels_decide(images: TrainingSet) -> bool:
    """Return whether there are enough different labelled anomalies to compare candidates."""
    anomalies = {entry.digest for entry in images.images if entry.image.label is Label.ANOMALY}
    return len(anomalies) >= MIN_ANOMALIES


def select_resolutions(
    images: TrainingSet,
    backbone: Backbone,
    *,
    resolution: int | None,
    regions: Regions | None,
    limits: ImageLimits,
    threads: int,
    seed: int,
    progress: ProgressCallback,
) -> SelectedResolutions:
    """Select the resolution of a detector, or two that labels compare.

    Args:
        images: the validated images.
        backbone: of the detector.
        resolution: the long side in pixels that is set; None selects one.
        regions: what counts in the stored images; None for everything.
        limits: how large an image may be.
        threads: of the embedders.
        seed: of the trial.
        progress: called after each comparison of the trial.

    Raises:
        TrainingError: nothing counts.
    """
    size = images.size.upright
    sizes = input_sizes(size, backbone, images=len(images.images), resolution=resolution)
    embedders = [
        Embedder(backbone, width=width, height=height, threads=threads) for width, height in sizes
    ]
    embedders = [embedders[0], *(other for other in embedders[1:] if _has_room(images, other))]
    trial = try_resolutions(
        images, embedders, limits=limits, seed=seed, progress=progress, regions=regions
    )
    if not labels_decide(images):
        return SelectedResolutions(embedders=[embedders[trial.selected]], notes=trial.notes)
    alternative = trial.selected
    if len(embedders) > 1 and max(size) >= MUCH_LARGER * max(embedders[1].size):
        alternative = max(alternative, 1)
    return SelectedResolutions(embedders=[embedders[index] for index in sorted({0, alternative})])


def _has_room(images: TrainingSet, embedder: Embedder) -> bool:
    """Return whether enough images fit into memory for a cross-validation."""
    normal = {entry.digest for entry in images.images if entry.image.label is Label.NORMAL}
    room = room_for(embedder, recomputed=recomputes(images, embedder))
    return room >= min(MIN_ROOM, len(normal))
