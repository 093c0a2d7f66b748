"""The patch head: a classifier of patches, fitted to labelled anomalies.

From an image with a mask it learns the marked patches. From one without a mask it learns the most
suspicious patches: first those farthest from a memory bank, then those that a first head scores
highest (multiple-instance learning: an image is anomalous if any of its patches is).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.scorers.memory_bank import MEMORY_BANK, JoinedBanks, MemoryBank
from blemish.engine.scorers.patch_classifier import PatchClassifier, fit_patch_classifier
from blemish.engine.scorers.scorer import FittingData, LabeledPatches, Readout, Role, Scorer

_STEPS = 200
"""Steps of a fit: 400 were no better. On wavelet features the head had an image AUROC of .82, .94
and .95 on magnetic tiles, castings and solar cells, a logistic regression .74, .86 and .95."""

_COARSE_ROWS = 200
"""The first rows of the memory bank cover the rest coarsely, which is enough to rank patches."""

_MARKED = 0.25
"""Share of a patch that its mask must call anomalous for the patch to count as such."""

_SUSPECT_SHARE = 0.02
"""Share of the patches of an anomalous image without a mask that are taken as anomalous."""

_MOST_SUSPICIOUS, _RANDOM = 20, 60
"""Patches of a normal image: those that look least normal, and some at random."""

_MOST_PATCHES = 4_000
"""Patches of all images of a label together; with more images, each adds fewer."""


@dataclass(frozen=True, kw_only=True)
class PatchHead:
    """A classifier of patches; a score above 0 means anomalous."""

    #: of two classes, background and anomaly
    classifier: PatchClassifier

    def patch_scores(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the margins (n,) of the anomaly over the background."""
        return self.classifier.margins(embeddings)[:, 0]

    def readout(self) -> Readout:
        """Return weights and bias of the hidden layer, in front of its ReLU."""
        return Readout(weights=self.classifier.hidden_weights, bias=self.classifier.hidden_bias)

    def add_patch_scores(self, graph: GraphWriter, readout: str) -> str:
        """Write `patch_scores`, given the inputs of the hidden layer (k, n)."""
        weights, bias = self.classifier.weights, self.classifier.bias
        row = graph.constant((weights[:, 1] - weights[:, 0])[np.newaxis])
        margins = graph.add("MatMul", row, graph.add("Relu", readout))
        flat = graph.add("Reshape", margins, graph.ints(-1))
        return graph.add("Add", flat, graph.scalar(bias[1] - bias[0]))


def fit_patch_head(
    images: Sequence[LabeledPatches],
    bank: MemoryBank | JoinedBanks,
    *,
    generator: np.random.Generator,
) -> PatchHead:
    """Fit a patch head.

    Args:
        images: with at least one of each label.
        bank: of normal images.
        generator: randomness for sampling and for the first weights.
    """
    coarse_bank = bank.coarse(_COARSE_ROWS)
    anomaly_scores = [coarse_bank.patch_scores(image.embeddings) for image in images]
    normal = sum(image.label is Label.NORMAL for image in images)
    random_rows = [
        generator.choice(len(scores), min(_quota(_RANDOM, normal), len(scores)), replace=False)
        for scores in anomaly_scores
    ]
    head = _fit_patches(images, anomaly_scores, random_rows, generator=generator)
    if all(image.marked is not None for image in images if image.label is Label.ANOMALY):
        return head
    anomaly_scores = [head.patch_scores(image.embeddings) for image in images]
    return _fit_patches(images, anomaly_scores, random_rows, generator=generator)


def _fit_patches(
    images: Sequence[LabeledPatches],
    anomaly_scores: Sequence[NDArray[np.float32]],
    random_rows: Sequence[NDArray[np.int64]],
    *,
    generator: np.random.Generator,
) -> PatchHead:
    """Fit a head to the marked or most suspicious patches.

    Args:
        images: with at least one of each label.
        anomaly_scores: (n,) of each image: how anomalous its patches look so far.
        random_rows: of each image: patches that a normal image adds.
        generator: of the network.
    """
    embeddings, anomalous = [], []
    normal = sum(image.label is Label.NORMAL for image in images)
    most = max(2, _MOST_PATCHES // (len(images) - normal))
    for image, scores, random in zip(images, anomaly_scores, random_rows, strict=True):
        if image.label is Label.NORMAL:
            rows = np.union1d(_highest(scores, _quota(_MOST_SUSPICIOUS, normal)), random)
        elif image.marked is None:
            rows = _highest(scores, min(most, max(2, round(_SUSPECT_SHARE * len(scores)))))
        else:
            marked = int((image.marked >= min(_MARKED, float(image.marked.max()))).sum())
            rows = _highest(image.marked, min(most, marked))
        embeddings.append(image.rows(rows))
        anomalous.append(np.full(len(rows), image.label is Label.ANOMALY))
    truth = np.concatenate(anomalous)
    classifier = fit_patch_classifier(
        np.concatenate(embeddings),
        np.stack([~truth, truth], axis=1).astype(np.float32),
        generator=generator,
        steps=_STEPS,
    )
    return PatchHead(classifier=classifier)


def _quota(patches: int, images: int) -> int:
    """Return how many patches each image adds, so that all add at most `_MOST_PATCHES`."""
    share = _MOST_PATCHES / (images * (_MOST_SUSPICIOUS + _RANDOM))
    return max(1, round(patches * min(1.0, share)))


def _highest(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    return np.sort(np.argsort(-scores, kind="stable")[:count])


def _fit(data: FittingData) -> PatchHead:
    bank = data.fitted[MEMORY_BANK]
    assert isinstance(bank, MemoryBank | JoinedBanks)
    return fit_patch_head(data.images, bank, generator=data.generator)


PATCH_HEAD = Scorer(name="patch head", role=Role.HEAD, scores_patches=True, fit=_fit)
