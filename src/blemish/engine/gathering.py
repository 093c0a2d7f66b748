"""One pass over the training images: each is decoded once and runs through the backbone once.

What is kept is bounded, whatever the number of images: a sample of patches for the memory bank,
one for the segmentation head, and the projected patches of at most `MAX_HELD_OUT` images of each
label for cross-validation. What is sampled of an image depends on its bytes and the seed alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.cross_validation import ProjectedImage
from blemish.engine.embedding import Embedder
from blemish.engine.images import ImageError, ImageLimits, decode, least_decoded, resize
from blemish.engine.labeled import Progress, ProgressCallback
from blemish.engine.masked_patches import MaskedPatches, Shares, mask_shares, sample_patches
from blemish.engine.sampling import patch_quota, sample_rows
from blemish.engine.survey import Survey, SurveyedImage

MAX_HELD_OUT = 400
"""Images of each label that are scored by cross-validation."""


@dataclass(frozen=True)
class Gathered:
    """What training keeps of the images."""

    #: (n, p) projected patches for the memory bank, an array for each normal image
    candidates: list[NDArray[np.float32]] = field(default_factory=list)
    held_out: list[ProjectedImage] = field(default_factory=list)
    #: of each image with a mask and, where there are any, of each normal image
    masked: list[MaskedPatches] = field(default_factory=list)
    #: (n, d) patches of each anomalous image without a mask, where others have one
    unmasked: list[NDArray[np.float32]] = field(default_factory=list)


class Gatherer:
    """Takes from one image after the other what training keeps."""

    def __init__(
        self, survey: Survey, embedder: Embedder, projection: NDArray[np.float32], *, seed: int
    ) -> None:
        self.gathered = Gathered()
        self._embedder = embedder
        self._projection = projection
        self._seed = seed
        self._normal = sum(each.image.label is Label.NORMAL for each in survey.images)
        self._masks = sum(each.image.mask is not None for each in survey.images)
        self._unmasked = len(survey.images) - self._normal - self._masks
        self._held_out: Counter[Label] = Counter()

    def add(self, each: SurveyedImage, pixels: NDArray[np.uint8], shares: Shares) -> None:
        """Embed one image, given upright at the graph's size."""
        embeddings = self._embedder.embed(pixels)
        projected = embeddings @ self._projection
        generator = np.random.default_rng([self._seed, int.from_bytes(each.digest[:8])])
        label = each.image.label
        if label is Label.NORMAL:
            quota = patch_quota(self._normal)
            self.gathered.candidates.append(sample_rows(projected, quota, generator=generator))
        if self._held_out[label] < MAX_HELD_OUT:
            self._held_out[label] += 1
            self.gathered.held_out.append(
                ProjectedImage(digest=each.digest, label=label, embeddings=projected)
            )
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
    projection: NDArray[np.float32],
    *,
    limits: ImageLimits,
    seed: int,
    progress: ProgressCallback,
) -> Gathered:
    """Decode and embed every image, and keep what the parts of a detector are fitted to.

    Args:
        survey: the images, and the problems that were found already.
        embedder: of the graph's size.
        projection: (d, p).
        limits: how large a picture may be.
        seed: of the samples.
        progress: told after each image.

    Raises:
        TrainingError: images or masks cannot be used, here or in the survey.
    """
    gatherer = Gatherer(survey, embedder, projection, seed=seed)
    problems = survey.problems
    width, height = embedder.size
    for done, each in enumerate(survey.images, start=1):
        mask = each.image.mask
        try:
            picture = decode(
                each.image.read(), limits=limits, at_least=least_decoded(width, height)
            )
            shares = mask_shares(mask, picture, grid=embedder.grid) if mask else {}
        except ImageError as error:
            problems.add(each.place, each.image, error)
        else:
            if not problems.found:  # else nothing is trained: the rest is decoded to be counted
                gatherer.add(each, resize(picture.pixels, width=width, height=height), shares)
        progress(Progress(step="computing features", done=done, total=len(survey.images)))
    problems.raise_if_any()
    return gatherer.gathered
