"""The features of the training images, computed in one pass for each input resolution.

Memory is bounded, whatever the number of images: sums and samples for each fold, one pooled
embedding for each image, and all patches of some images of each label, which cross-validation
scores. The sample of an image depends on its bytes and the seed alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.images.appearance import Appearance, appearance
from blemish.engine.images.decode import ImageLimits, decode
from blemish.engine.images.regions import InspectedArea
from blemish.engine.images.resize import least_decoded, resize
from blemish.engine.normal_images import MOST_NORMAL_IMAGES
from blemish.engine.scorers.memory_bank import ALTERNATIVES_STEP, MEMORY_BANK
from blemish.engine.scorers.moments import Moments
from blemish.engine.scorers.pooling import pooled_embedding
from blemish.engine.training.labeled_images import Progress, ProgressCallback
from blemish.engine.training.masked_patches import (
    MaskedPatches,
    Shares,
    mask_shares,
    sample_patches,
)
from blemish.engine.training.sampling import candidate_quota, patch_quota, sample_rows
from blemish.engine.training.validation import TrainingSet, ValidatedImage

MAX_HELD_OUT = 250
"""Images of each label that cross-validation scores."""

EMBEDDED_BYTES = 512 * 2**20
"""Memory for the patches of these images; with wide or many patches there are fewer images."""

MIN_ROOM = 30
"""Images of each label that must fit: fewer show too little of how normal scores vary."""


@dataclass(frozen=True, kw_only=True)
class EmbeddedImage:
    """An image with all of its patches, in half precision: most of a training's memory."""

    label: Label
    fold: int
    #: (n, d)
    _halves: NDArray[np.float16]
    #: a power of 2 that they are multiplied by
    _unit: float
    #: (n,) share of each patch that the image's mask calls anomalous; None without a mask
    marked: NDArray[np.float32] | None

    @classmethod
    def of(
        cls,
        label: Label,
        embeddings: NDArray[np.float32],
        *,
        fold: int,
        marked: NDArray[np.float32] | None,
    ) -> EmbeddedImage:
        """Store the embeddings (n, d) of an image, to 11 bits of the largest and of most others."""
        _, exponent = math.frexp(float(np.abs(embeddings).max()))
        unit = math.ldexp(1.0, exponent)
        halves = (embeddings / np.float32(unit)).astype(np.float16)
        return cls(label=label, fold=fold, _halves=halves, _unit=unit, marked=marked)

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """The (n, d) embeddings, converted on each access."""
        return self.rows(slice(None))

    def rows(self, selection: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings of some patches."""
        embeddings = self._halves[selection].astype(np.float32)
        embeddings *= np.float32(self._unit)
        return embeddings


@dataclass(frozen=True, kw_only=True)
class RecomputedImage:
    """An image at the graph's size, whose many patches are computed at each access."""

    label: Label
    fold: int
    embedder: Embedder
    #: (H, W, 3)
    pixels: NDArray[np.uint8]
    marked: NDArray[np.float32] | None = None
    #: those that count; None for all
    patches: NDArray[np.bool_] | None = None

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """The (n, d) embeddings."""
        embeddings = self.embedder.embed(self.pixels)
        return embeddings if self.patches is None else embeddings[self.patches]

    def rows(self, selection: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings of some patches."""
        return self.embeddings[selection]


@dataclass(kw_only=True)
class FoldPart:
    """The features of the images of one fold."""

    #: memory bank -> (n, p) candidates, projected; an array for each normal image
    candidates: defaultdict[str, list[NDArray[np.float32]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    #: over all patches of normal images
    moments: Moments
    #: label -> (2d,) of each image
    pooled: dict[Label, list[NDArray[np.float32]]] = field(
        default_factory=lambda: {label: [] for label in Label}
    )


@dataclass(frozen=True, kw_only=True)
class TrainingFeatures:
    """The features of all training images at one resolution."""

    #: memory bank -> (d, p)
    projections: dict[str, NDArray[np.float32]]
    #: (h, w) of the patches
    grid: tuple[int, int]
    folds: list[FoldPart]
    #: whether the memory bank alone learns from normal images
    bank_alone: bool = False
    #: (h * w,) the patches that count; all features are of these; None for all
    inspected: NDArray[np.bool_] | None = None
    embedded_images: list[EmbeddedImage | RecomputedImage] = field(default_factory=list)
    #: SHA-256 of each of them
    embedded_digests: list[bytes] = field(default_factory=list)
    #: of some normal images, and the mean embedding (d,) of all patches of each
    looks: list[tuple[Appearance, NDArray[np.float32]]] = field(default_factory=list)
    #: of each image with a mask and, where there are any, of each normal image
    masked: list[MaskedPatches] = field(default_factory=list)
    #: (n, d) patches of each anomalous image without a mask, where others have one
    unmasked: list[NDArray[np.float32]] = field(default_factory=list)


def room_for(embedder: Embedder, recomputed: bool = False) -> int:
    """Return how many images of each label fit into `EMBEDDED_BYTES`.

    Args:
        embedder: of the graph's size.
        recomputed: whether only the pixels are stored.
    """
    width, height = embedder.size
    size = 2 * embedder.width * embedder.grid[0] * embedder.grid[1]
    size = 3 * width * height if recomputed else size
    return max(1, min(MAX_HELD_OUT, EMBEDDED_BYTES // (2 * size)))


def recomputes(images: TrainingSet, embedder: Embedder) -> bool:
    """Return whether patches are computed anew for cross-validation, as too few would fit.

    Heads would need them too often, so that is only possible without anomalies.
    """
    anomalies = any(entry.image.label is Label.ANOMALY for entry in images.images)
    return not anomalies and room_for(embedder) < MIN_ROOM


class FeatureCollector:
    """Adds the features of one image after the other to `features`."""

    def __init__(
        self,
        training_set: TrainingSet,
        embedder: Embedder,
        projections: dict[str, NDArray[np.float32]],
        *,
        folds: int,
        room: int,
        seed: int,
        area: InspectedArea | None = None,
    ) -> None:
        self.features = TrainingFeatures(
            projections=projections,
            grid=embedder.grid,
            folds=[FoldPart(moments=Moments.none(embedder.width)) for _ in range(folds)],
            bank_alone=embedder.bank_alone,
            inspected=None if area is None else area.patches,
        )
        self._area = area
        self._embedder = embedder
        self._seed = seed
        images = [entry.image for entry in training_set.images]
        self._normal = sum(image.label is Label.NORMAL for image in images)
        self._masks = sum(image.mask is not None for image in images)
        self._unmasked = len(images) - self._normal - self._masks
        self._room = room
        self._recomputes = recomputes(training_set, embedder)
        self._embedded: dict[Label, set[bytes]] = {label: set() for label in Label}

    def add(
        self, entry: ValidatedImage, pixels: NDArray[np.uint8], shares: Shares, *, fold: int
    ) -> None:
        """Embed one image, given upright at the graph's size."""
        area = self._area
        unfilled, pixels = pixels, pixels if area is None else area.filled(pixels)
        embeddings = self._embedder.embed(pixels)
        if entry.image.label is Label.NORMAL and len(self.features.looks) < MOST_NORMAL_IMAGES:
            self.features.looks.append((appearance(unfilled), embeddings.mean(axis=0)))
        if area is not None:
            embeddings = embeddings[area.patches]
            shares = {name: share[area.patches] for name, share in shares.items()}
        generator = np.random.default_rng([self._seed, int.from_bytes(entry.digest[:8])])
        label, part = entry.image.label, self.features.folds[fold]
        part.pooled[label].append(pooled_embedding(embeddings))
        if label is Label.NORMAL:
            rows = sample_rows(embeddings, candidate_quota(self._normal), generator=generator)
            for name, projection in self.features.projections.items():
                bank_rows = rows if name == MEMORY_BANK.name else rows[::ALTERNATIVES_STEP]
                part.candidates[name].append(bank_rows @ projection)
            if not self.features.bank_alone:  # of wide embeddings they take longer than the network
                part.moments += Moments.of(embeddings)
        digests = self._embedded[label]
        if len(digests) < self._room and entry.digest not in digests:  # a copy adds nothing
            digests.add(entry.digest)
            self.features.embedded_digests.append(entry.digest)
            marked = np.sum(list(shares.values()), axis=0) if shares else None
            if area is not None and marked is not None and not marked.any():
                marked = None  # what it marks lies between patches that count
            self.features.embedded_images.append(
                RecomputedImage(
                    label=label,
                    fold=fold,
                    embedder=self._embedder,
                    pixels=pixels,
                    patches=None if area is None else area.patches,
                )
                if self._recomputes
                else EmbeddedImage.of(label, embeddings, fold=fold, marked=marked)
            )
        self._add_patches(entry, embeddings, shares, generator=generator)

    def _add_patches(
        self,
        entry: ValidatedImage,
        embeddings: NDArray[np.float32],
        shares: Shares,
        *,
        generator: np.random.Generator,
    ) -> None:
        """Add patches for the segmentation head, where any image has a mask."""
        if shares or (self._masks and entry.image.label is Label.NORMAL):
            patches = sample_patches(
                embeddings,
                shares,
                digest=entry.digest,
                background=patch_quota(self._normal + self._masks),
                anomalous=patch_quota(self._masks),
                generator=generator,
            )
            self.features.masked.append(patches)
        elif self._masks and entry.image.mask is None:
            quota = patch_quota(max(self._normal + self._masks, self._unmasked))
            self.features.unmasked.append(sample_rows(embeddings, quota, generator=generator))


def collect_features(
    images: TrainingSet,
    embedder: Embedder,
    projections: dict[str, NDArray[np.float32]],
    *,
    fold_of: NDArray[np.int64],
    limits: ImageLimits,
    room: int,
    seed: int,
    progress: ProgressCallback,
    area: InspectedArea | None = None,
) -> TrainingFeatures:
    """Decode and embed every image, and collect the features that a detector is fitted to.

    Args:
        images: the validated images.
        embedder: of the graph's size.
        projections: memory bank -> (d, p).
        fold_of: (n,) of each image.
        limits: how large an image may be.
        room: number of images of each label whose patches are all stored, for cross-validation.
        seed: of the samples.
        progress: called after each image.
        area: what counts in an image; None for everything.
    """
    folds = int(fold_of.max()) + 1
    collector = FeatureCollector(
        images, embedder, projections, folds=folds, room=room, seed=seed, area=area
    )
    width, height = embedder.size
    entries = zip(images.images, fold_of.tolist(), strict=True)
    for done, (entry, fold) in enumerate(entries, start=1):
        mask = entry.image.mask
        image = decode(
            entry.image.read(),
            limits=limits,
            at_least=least_decoded(width, height),
            sample_bits=images.sample_bits,
        )
        shares = mask_shares(mask, image, grid=embedder.grid) if mask else {}
        pixels = resize(image.pixels, width=width, height=height)
        collector.add(entry, pixels, shares, fold=fold)
        progress(Progress(step="computing features", done=done, total=len(images.images)))
    return collector.features
