"""One pass over the training images: each is decoded once and runs through the backbone once.

What is kept is bounded, whatever the number of images: sums and samples for each fold, one pooled
embedding for each image, and the patches of some images of each label, which cross-validation
scores. What is sampled of an image depends on its bytes and the seed alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.backbones.embedding import Embedder
from blemish.engine.images.decode import ImageError, ImageLimits, decode
from blemish.engine.images.resize import least_decoded, resize
from blemish.engine.scorers.moments import Moments
from blemish.engine.scorers.scorers import BANK, pooled_embedding
from blemish.engine.training.labeled_images import Progress, ProgressCallback
from blemish.engine.training.masked_patches import (
    MaskedPatches,
    Shares,
    mask_shares,
    sample_patches,
)
from blemish.engine.training.sampling import candidate_quota, patch_quota, sample_rows
from blemish.engine.training.validation import Survey, SurveyedImage

MAX_HELD_OUT = 250
"""Images of each label that are scored by cross-validation."""

KEPT_BYTES = 512 * 2**20
"""Of the patches that are kept of them; where they are wide or many, fewer images are kept."""

ALTERNATIVES_TAKE = 3
"""Memory banks that are tried beside the first have a third of its rows, chosen from every third of
its candidates: scoring with all rows took half of a training's time."""


@dataclass(frozen=True, kw_only=True)
class KeptImage:
    """An image with all of its patches, in half precision: most of what a training holds."""

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
    ) -> KeptImage:
        """Keep the embeddings (n, d) of an image, to 11 bits of the largest and of most others."""
        _, exponent = math.frexp(float(np.abs(embeddings).max()))
        unit = math.ldexp(1.0, exponent)
        halves = (embeddings / np.float32(unit)).astype(np.float16)
        return cls(label=label, fold=fold, _halves=halves, _unit=unit, marked=marked)

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """The (n, d) embeddings, made anew each time."""
        return self.rows(slice(None))

    def rows(self, chosen: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings of some patches."""
        embeddings = self._halves[chosen].astype(np.float32)
        embeddings *= np.float32(self._unit)
        return embeddings


@dataclass(kw_only=True)
class FoldPart:
    """What is kept of the images of one fold."""

    #: memory bank -> (n, p) projected patches to choose from, an array for each normal image
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
class Gathered:
    """What training keeps of the images."""

    #: memory bank -> (d, p)
    projections: dict[str, NDArray[np.float32]]
    #: (h, w) of the patches
    grid: tuple[int, int]
    folds: list[FoldPart]
    kept: list[KeptImage] = field(default_factory=list)
    #: of each image with a mask and, where there are any, of each normal image
    masked: list[MaskedPatches] = field(default_factory=list)
    #: (n, d) patches of each anomalous image without a mask, where others have one
    unmasked: list[NDArray[np.float32]] = field(default_factory=list)


def room_for(embedder: Embedder) -> int:
    """Return how many images of each label can be kept."""
    size = 2 * embedder.width * embedder.grid[0] * embedder.grid[1]
    return max(1, min(MAX_HELD_OUT, KEPT_BYTES // (2 * size)))


class Gatherer:
    """Takes from one image after the other what training keeps."""

    def __init__(
        self,
        survey: Survey,
        embedder: Embedder,
        projections: dict[str, NDArray[np.float32]],
        *,
        folds: int,
        room: int,
        seed: int,
    ) -> None:
        self.gathered = Gathered(
            projections=projections,
            grid=embedder.grid,
            folds=[FoldPart(moments=Moments.none(embedder.width)) for _ in range(folds)],
        )
        self._embedder = embedder
        self._seed = seed
        self._normal = sum(each.image.label is Label.NORMAL for each in survey.images)
        self._masks = sum(each.image.mask is not None for each in survey.images)
        self._unmasked = len(survey.images) - self._normal - self._masks
        self._room = room
        self._kept: dict[Label, set[bytes]] = {label: set() for label in Label}

    def add(
        self, each: SurveyedImage, pixels: NDArray[np.uint8], shares: Shares, *, fold: int
    ) -> None:
        """Embed one image, given upright at the graph's size."""
        embeddings = self._embedder.embed(pixels)
        generator = np.random.default_rng([self._seed, int.from_bytes(each.digest[:8])])
        label, part = each.image.label, self.gathered.folds[fold]
        part.pooled[label].append(pooled_embedding(embeddings))
        if label is Label.NORMAL:
            rows = sample_rows(embeddings, candidate_quota(self._normal), generator=generator)
            for name, projection in self.gathered.projections.items():
                its = rows if name == BANK else rows[::ALTERNATIVES_TAKE]
                part.candidates[name].append(its @ projection)
            part.moments += Moments.of(embeddings)
        kept = self._kept[label]
        if len(kept) < self._room and each.digest not in kept:  # a copy would say nothing new
            kept.add(each.digest)
            marked = np.sum(list(shares.values()), axis=0) if shares else None
            self.gathered.kept.append(KeptImage.of(label, embeddings, fold=fold, marked=marked))
        if shares or (self._masks and label is Label.NORMAL):
            patches = sample_patches(
                embeddings,
                shares,
                digest=each.digest,
                background=patch_quota(self._normal + self._masks),
                anomalous=patch_quota(self._masks),
                generator=generator,
            )
            self.gathered.masked.append(patches)
        elif self._masks and each.image.mask is None:
            quota = patch_quota(max(self._normal + self._masks, self._unmasked))
            self.gathered.unmasked.append(sample_rows(embeddings, quota, generator=generator))


def gather(
    survey: Survey,
    embedder: Embedder,
    projections: dict[str, NDArray[np.float32]],
    *,
    fold_of: NDArray[np.int64],
    limits: ImageLimits,
    room: int,
    seed: int,
    progress: ProgressCallback,
) -> Gathered:
    """Decode and embed every image, and keep what the parts of a detector are fitted to.

    Args:
        survey: the images, and the problems that were found already.
        embedder: of the graph's size.
        projections: memory bank -> (d, p).
        fold_of: (n,) of each image of the survey.
        limits: how large an image may be.
        room: images of each label that are kept for cross-validation.
        seed: of the samples.
        progress: told after each image.

    Raises:
        TrainingError: images or masks cannot be used, here or in the survey.
    """
    folds = int(fold_of.max()) + 1
    gatherer = Gatherer(survey, embedder, projections, folds=folds, room=room, seed=seed)
    problems = survey.problems
    width, height = embedder.size
    for done, (each, fold) in enumerate(zip(survey.images, fold_of.tolist(), strict=True), start=1):
        mask = each.image.mask
        try:
            image = decode(each.image.read(), limits=limits, at_least=least_decoded(width, height))
            shares = mask_shares(mask, image, grid=embedder.grid) if mask else {}
        except ImageError as error:
            problems.add(each.place, each.image, error)
        else:
            if not problems.found:  # else nothing is trained: the rest is decoded to be counted
                pixels = resize(image.pixels, width=width, height=height)
                gatherer.add(each, pixels, shares, fold=fold)
        progress(Progress(step="computing features", done=done, total=len(survey.images)))
    problems.raise_if_any()
    return gatherer.gathered
