"""One pass over the training images: each is decoded once and runs through the backbone once.

What is kept is bounded, whatever the number of images: a sample of patches for the memory bank,
one for the segmentation head, and the projected patches of at most `MAX_HELD_OUT` images of each
label for cross-validation. What is sampled of an image depends on its bytes and the seed alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.domain.entities import Label
from blemish.engine.cross_validation import ProjectedImage
from blemish.engine.embedding import Embedder
from blemish.engine.images import (
    ImageError,
    ImageLimits,
    Picture,
    decode,
    decode_mask,
    resize,
    turn,
)
from blemish.engine.labeled import Progress, ProgressCallback
from blemish.engine.survey import Survey, SurveyedImage

MAX_CANDIDATES = 20_000
"""Patches that a coreset is selected from, and about as many of each kind for the head."""

MAX_HELD_OUT = 400
"""Images of each label that cross-validation scores."""


@dataclass(frozen=True, kw_only=True)
class HeadPatches:
    """Patches of one image that a segmentation head may learn from."""

    #: (n, d)
    embeddings: NDArray[np.float32]
    #: anomaly type -> (n,) share of the patch's area; what is left is background
    shares: Mapping[str, NDArray[np.float32]]


@dataclass
class Gathered:
    """What training keeps of the images."""

    #: (n, p) projected patches, one array a normal image
    candidates: list[NDArray[np.float32]] = field(default_factory=list)
    held_out: list[ProjectedImage] = field(default_factory=list)
    head: list[HeadPatches] = field(default_factory=list)


def gather(
    survey: Survey,
    *,
    embedder: Embedder,
    projection: NDArray[np.float32],
    graph_size: tuple[int, int],
    limits: ImageLimits,
    seed: int,
    progress: ProgressCallback,
) -> Gathered:
    """Decode and embed every image, and keep what the parts of a detector are fitted to.

    Raises:
        TrainingError: images or masks cannot be used, here or in the survey.
    """
    gathered, problems = Gathered(), survey.problems
    labels = Counter(each.image.label for each in survey.images)
    masked = sum(each.image.mask is not None for each in survey.images)
    kept: Counter[Label] = Counter()
    width, height = graph_size
    for done, each in enumerate(survey.images, start=1):
        try:
            picture = decode(each.image.read(), limits=limits)
            shares = _mask_shares(each, picture, grid=embedder.grid)
        except ImageError as error:
            problems.add(each.image, error)
            continue
        if problems.names:  # nothing will be trained; the others are decoded to be counted
            continue
        pixels = resize(picture.pixels, width=width, height=height)
        embeddings = embedder.embed(pixels)
        projected = embeddings @ projection
        generator = np.random.default_rng([seed, int.from_bytes(each.digest[:8])])
        label = each.image.label
        if label is Label.NORMAL:
            quota = patch_quota(labels[label])
            gathered.candidates.append(sample_rows(projected, quota, generator=generator))
        if kept[label] < MAX_HELD_OUT:
            kept[label] += 1
            gathered.held_out.append(
                ProjectedImage(digest=each.digest, label=label, embeddings=projected)
            )
        if masked and (label is Label.NORMAL or shares):
            quotas = patch_quota(labels[Label.NORMAL] + masked), patch_quota(masked)
            gathered.head.append(_head_patches(embeddings, shares, quotas, generator=generator))
        progress(Progress(step="computing features", done=done, total=len(survey.images)))
    problems.raise_if_any()
    return gathered


def patch_quota(images: int) -> int:
    """Return how many patches each of so many images may give to a sample."""
    return math.ceil(MAX_CANDIDATES / images)


def sample_rows(
    rows: NDArray[np.float32], count: int, *, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Choose at most `count` rows at random, in their order."""
    if len(rows) <= count:
        return rows
    return rows[np.sort(generator.choice(len(rows), count, replace=False))]


def _mask_shares(
    each: SurveyedImage, picture: Picture, *, grid: tuple[int, int]
) -> dict[str, NDArray[np.float32]]:
    """Return the share of every patch's area that each anomaly type of the mask covers, (n,)."""
    mask = each.image.mask
    if mask is None:
        return {}
    shares = {}
    found = decode_mask(mask.read(), colors=mask.colors, size=picture.stored_size)
    for anomaly_type, pixels in found.items():
        upright = Image.fromarray(turn(pixels, picture.orientation).astype(np.float32))
        h, w = grid
        areas = np.asarray(upright.resize((w, h), Image.Resampling.BOX))
        shares[anomaly_type] = np.clip(areas.ravel(), 0, 1)
    return shares


def _head_patches(
    embeddings: NDArray[np.float32],
    shares: Mapping[str, NDArray[np.float32]],
    quotas: tuple[int, int],
    *,
    generator: np.random.Generator,
) -> HeadPatches:
    """Keep some patches of pure background and some with an anomaly."""
    anomalous = np.zeros(len(embeddings), dtype=np.bool_)
    for share in shares.values():
        anomalous |= share > 0
    chosen = np.concatenate(
        [
            generator.permutation(np.flatnonzero(kind))[:quota]
            for kind, quota in zip((~anomalous, anomalous), quotas, strict=True)
        ]
    )
    chosen.sort()
    return HeadPatches(
        embeddings=embeddings[chosen],
        shares={anomaly_type: share[chosen] for anomaly_type, share in shares.items()},
    )


def head_data(
    patches: Sequence[HeadPatches], anomaly_types: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Join the patches of all images for the types that the head shall know.

    Patches that show another type are left out: they are neither background nor one of these.

    Returns:
        embeddings (n, d), and shares (n, 1 + types) whose rows sum to 1, the background first.
    """
    embeddings, shares = [], []
    for image in patches:
        n = len(image.embeddings)
        columns = [image.shares.get(name, np.zeros(n, np.float32)) for name in anomaly_types]
        others = [share for name, share in image.shares.items() if name not in anomaly_types]
        known = np.sum(others, axis=0) == 0 if others else np.ones(n, dtype=np.bool_)
        types = np.stack(columns, axis=1)
        background = np.maximum(1 - types.sum(axis=1, keepdims=True), 0)
        joined = np.concatenate([background, types], axis=1)
        embeddings.append(image.embeddings[known])
        shares.append(joined[known] / joined[known].sum(axis=1, keepdims=True))
    return np.concatenate(embeddings), np.concatenate(shares)
