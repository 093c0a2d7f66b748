"""Heads that call an image anomalous, learned from labelled anomalies.

The image head looks at the pooled embedding, so it learns what changes an image as a whole. The
patch head looks at each patch: of an image with a mask it learns the patches that are marked, of
one without those that are farthest from normal ones, first as a memory bank sees it, then as a
first head does (multiple-instance learning: an image is anomalous if any of its patches is).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.scorers.patch_classifier import PatchClassifier, fit_patch_classifier
from blemish.engine.scorers.scorers import MemoryBank
from blemish.engine.training.features import EmbeddedImage

_IMAGE_FIT = 10.0
"""Weight of the fit against a squared penalty of 1, on features of norm 1. From 1 to 100 it changed
image AUROC by at most 0.01 with 80 labelled anomalies."""

_NEWTON_STEPS, _EXACT = 50, 1e-10
"""At most, and what is left to gain when they end, as a share: four to ten were needed."""

_AT_ONCE = 250
"""Images whose embeddings a fit has in double precision at a time."""

_STEPS = 200
"""Of a patch head's descent: 400 were no better. On wavelet features it had an image AUROC of .82,
.94 and .95 on magnetic tiles, castings and solar cells, a logistic regression .74, .86 and .95."""

_SUSPECTING_ROWS = 200
"""Of the memory bank, the first to be chosen, which cover the rest coarsely: enough to suspect."""

_MARKED = 0.25
"""Share of a patch that its mask must call anomalous for the patch to count as such."""

_SUSPECTS = 0.02
"""Share of the patches of an anomalous image that are taken as anomalous where no mask says."""

_LIKELIEST, _OTHERS = 20, 60
"""Patches of a normal image: those that look least normal, and some at random."""

_MOST_PATCHES = 4_000
"""Of all images of a label together; with more images, each gives fewer."""


@dataclass(frozen=True, kw_only=True)
class LinearHead:
    """A linear classifier; above 0 it says anomalous."""

    #: (D,)
    weights: NDArray[np.float32]
    bias: float

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n,) for features (n, D)."""
        logits: NDArray[np.float32] = features @ self.weights + np.float32(self.bias)
        return logits


def fit_image_head(
    normal: Sequence[NDArray[np.float32]], anomalous: Sequence[NDArray[np.float32]]
) -> LinearHead:
    """Fit a class-balanced logistic regression to the pooled embeddings (D,) of both labels."""
    pooled = [*normal, *anomalous]
    mean: NDArray[np.float64] = sum(pooled, np.zeros(len(pooled[0]))) / len(pooled)
    deviation = np.sqrt(sum((row - mean) ** 2 for row in pooled) / len(pooled))
    deviation = np.maximum(deviation, 1e-3 * float(deviation.max()) + 1e-9)
    scale: NDArray[np.float64] = deviation * len(mean) ** 0.5

    def inputs(some: slice) -> NDArray[np.float64]:
        return (np.stack(pooled[some]) - mean) / scale

    truth = np.arange(len(pooled)) >= len(normal)
    if 1.5 * len(pooled) < len(mean):  # weights lie in their span: a basis makes the fit small
        basis, coordinates = np.linalg.qr(inputs(slice(None)).T)
        weights, bias = _logistic(lambda some: coordinates.T[some], truth, width=len(pooled))
        weights = basis @ weights
    else:
        weights, bias = _logistic(inputs, truth, width=len(mean))
    weights /= scale
    return LinearHead(weights=weights.astype(np.float32), bias=float(bias - weights @ mean))


def _logistic(
    inputs: Callable[[slice], NDArray[np.float64]], anomalous: NDArray[np.bool_], *, width: int
) -> tuple[NDArray[np.float64], float]:
    """Return the weights and the bias of a penalised logistic regression.

    Args:
        inputs: gives some of the rows (n, width), anew each time, for all of them in double
            precision were most of what a training on many images held.
        anomalous: (n,).
        width: of the inputs.

    Source: Hastie et al., "The Elements of Statistical Learning", 2nd edition, section 4.4.1:
        Newton's method. A step that gains too little is halved: Boyd and Vandenberghe, "Convex
        Optimization", section 9.5.
    """
    n = len(anomalous)
    signs = np.where(anomalous, 1, -1)
    counts = _IMAGE_FIT * n / (2 * np.bincount(anomalous)[anomalous.astype(int)])
    penalty = np.append(np.ones(width), 0)

    def parts() -> Iterator[tuple[slice, NDArray[np.float64]]]:
        for start in range(0, n, _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            rows = inputs(some)
            yield some, np.column_stack([rows, np.ones(len(rows))])

    def loss(weights: NDArray[np.float64], logits: NDArray[np.float64]) -> float:
        return float(counts @ np.logaddexp(0, -signs * logits) + penalty @ weights**2 / 2)

    weights, logits = np.zeros(width + 1), np.zeros(n)
    for _ in range(_NEWTON_STEPS):
        wrong = 1 / (1 + np.exp(signs * logits))  # the probability of the other label
        slope, curvature = penalty * weights, np.diag(penalty)
        for some, rows in parts():
            slope -= rows.T @ (counts * signs * wrong)[some]
            curvature += (rows.T * (counts * wrong * (1 - wrong))[some]) @ rows
        step = np.linalg.solve(curvature, slope)
        change = np.concatenate([rows @ step for _, rows in parts()])
        gain, before = slope @ step, loss(weights, logits)
        if gain <= _EXACT * before:
            break
        while loss(weights - step, logits - change) > before - gain / 4:
            step, change, gain = step / 2, change / 2, gain / 2
        weights -= step
        logits -= change
    return weights[:-1], float(weights[-1])


def fit_patch_head(
    images: Sequence[EmbeddedImage], bank: MemoryBank, *, generator: np.random.Generator
) -> PatchClassifier:
    """Fit a classifier of two classes, background and anomaly, to patches of images.

    Args:
        images: with at least one of each label.
        bank: of normal images.
        generator: of the samples and the network.
    """
    few = replace(bank, rows=bank.rows[:_SUSPECTING_ROWS])
    suspicion = [few.patch_scores(image.embeddings) for image in images]
    normal = sum(image.label is Label.NORMAL for image in images)
    others = [
        generator.choice(len(scores), min(_quota(_OTHERS, normal), len(scores)), replace=False)
        for scores in suspicion
    ]
    head = _fit_patches(images, suspicion, others, generator=generator)
    if all(image.marked is not None for image in images if image.label is Label.ANOMALY):
        return head
    suspicion = [head.margins(image.embeddings)[:, 0] for image in images]
    return _fit_patches(images, suspicion, others, generator=generator)


def _fit_patches(
    images: Sequence[EmbeddedImage],
    suspicion: Sequence[NDArray[np.float32]],
    others: Sequence[NDArray[np.int64]],
    *,
    generator: np.random.Generator,
) -> PatchClassifier:
    rows, anomalous = [], []
    normal = sum(image.label is Label.NORMAL for image in images)
    most = max(2, _MOST_PATCHES // (len(images) - normal))
    for image, scores, random in zip(images, suspicion, others, strict=True):
        if image.label is Label.NORMAL:
            chosen = np.union1d(_highest(scores, _quota(_LIKELIEST, normal)), random)
        elif image.marked is None:
            chosen = _highest(scores, min(most, max(2, round(_SUSPECTS * len(scores)))))
        else:
            marked = int((image.marked >= min(_MARKED, float(image.marked.max()))).sum())
            chosen = _highest(image.marked, min(most, marked))
        rows.append(image.rows(chosen))
        anomalous.append(np.full(len(chosen), image.label is Label.ANOMALY))
    found = np.concatenate(anomalous)
    return fit_patch_classifier(
        np.concatenate(rows),
        np.stack([~found, found], axis=1).astype(np.float32),
        generator=generator,
        steps=_STEPS,
    )


def _quota(patches: int, images: int) -> int:
    """Return how many of so many patches each image gives, so that all together are few."""
    share = _MOST_PATCHES / (images * (_LIKELIEST + _OTHERS))
    return max(1, round(patches * min(1.0, share)))


def _highest(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    return np.sort(np.argsort(-scores, kind="stable")[:count])
