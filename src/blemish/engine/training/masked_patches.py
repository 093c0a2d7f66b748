"""Patches under anomaly masks: the share of a patch that each anomaly type covers."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.engine.images.decode import DecodedImage
from blemish.engine.images.masks import decode_mask
from blemish.engine.images.orientation import turn
from blemish.engine.training.labeled_images import TrainingMask

Shares = Mapping[str, NDArray[np.float32]]
"""Anomaly type -> (n,) share of each patch's area, 0 to 1; the rest is background."""


@dataclass(frozen=True, kw_only=True)
class MaskedPatches:
    """Patches of one image whose content is known from a mask or a normal label."""

    #: SHA-256 of the image's bytes
    digest: bytes
    #: (n, d)
    embeddings: NDArray[np.float32]
    shares: Shares
    #: (n,) number of the image's patches that each represents
    weights: NDArray[np.float32]

    def known(self, anomaly_types: Container[str]) -> NDArray[np.bool_]:
        """Return which patches (n,) show nothing but background and these types."""
        known = np.ones(len(self.weights), dtype=np.bool_)
        for name, share in self.shares.items():
            if name not in anomaly_types:
                known &= share == 0
        return known


@dataclass(frozen=True, kw_only=True)
class JoinedPatches:
    """Patches of several images, for the anomaly types of a segmentation head."""

    #: (n, d)
    embeddings: NDArray[np.float32]
    #: (n, 1 + types), the background first; each row sums to 1
    shares: NDArray[np.float32]
    #: (n,) number of patches that each represents
    weights: NDArray[np.float32]
    #: (n,) index of each patch's image
    images: NDArray[np.int64]

    def rows(self, selection: NDArray[np.bool_]) -> JoinedPatches:
        """Return some of the patches."""
        return JoinedPatches(
            embeddings=self.embeddings[selection],
            shares=self.shares[selection],
            weights=self.weights[selection],
            images=self.images[selection],
        )


def mask_shares(mask: TrainingMask, image: DecodedImage, *, grid: tuple[int, int]) -> Shares:
    """Resize an image's mask to the (h, w) grid of patches, turned upright like the image.

    Raises:
        ImageError: the mask cannot be used.
    """
    h, w = grid
    shares = {}
    masks = decode_mask(
        mask.read(),
        colors=mask.colors,
        size=image.stored_size,
        orientation=image.orientation,
        drawn=mask.orientation,
    )
    for anomaly_type, pixels in masks.items():
        upright = turn(pixels, image.orientation).astype(np.float32)
        areas = Image.fromarray(upright).resize((w, h), Image.Resampling.BOX)
        shares[anomaly_type] = np.clip(np.asarray(areas).ravel(), 0, 1)
    return shares


def sample_patches(
    embeddings: NDArray[np.float32],
    shares: Shares,
    *,
    digest: bytes,
    background: int,
    anomalous: int,
    generator: np.random.Generator,
) -> MaskedPatches:
    """Sample patches of pure background, and patches with some anomaly.

    Args:
        embeddings: (n, d) of one image.
        shares: of its patches.
        digest: SHA-256 of the image's bytes.
        background: the most patches of the first kind.
        anomalous: the most patches of the second kind.
        generator: of the sample.
    """
    any_anomaly = np.zeros(len(embeddings), dtype=np.bool_)
    for share in shares.values():
        any_anomaly |= share > 0
    parts = ((~any_anomaly, background), (any_anomaly, anomalous))
    weights = np.zeros(len(embeddings), dtype=np.float32)
    for part, count in parts:
        rows = np.flatnonzero(part)
        selection = generator.permutation(rows)[:count]
        weights[selection] = len(rows) / max(len(selection), 1)
    sampled = weights > 0
    return MaskedPatches(
        digest=digest,
        embeddings=embeddings[sampled],
        shares={name: share[sampled] for name, share in shares.items()},
        weights=weights[sampled],
    )


def join_patches(images: Sequence[MaskedPatches], anomaly_types: Sequence[str]) -> JoinedPatches:
    """Join the patches of all images for the anomaly types of a segmentation head.

    Patches that show another type are left out: they are neither background nor one of these.
    """
    embeddings, shares, weights, indices = [], [], [], []
    for index, image in enumerate(images):
        known = image.known(anomaly_types)
        nothing = np.zeros(len(known), dtype=np.float32)
        types = np.stack([image.shares.get(name, nothing) for name in anomaly_types], axis=1)
        background = np.maximum(1 - types.sum(axis=1, keepdims=True), 0)
        embeddings.append(image.embeddings[known])
        shares.append(np.concatenate([background, types], axis=1)[known])
        weights.append(image.weights[known])
        indices.append(np.full(int(known.sum()), index))
    return JoinedPatches(
        embeddings=np.concatenate(embeddings),
        shares=np.concatenate(shares),
        weights=np.concatenate(weights),
        images=np.concatenate(indices),
    )
