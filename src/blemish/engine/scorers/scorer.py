"""The interface of scorers, the features that they learn from, and the names of their scores.

Each scorer has a module of this package, which fits it, computes its scores in numpy, and writes
the same computation into the ONNX graph of a model. `registry` lists all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import Label
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.scorers.moments import Moments


class Role(Enum):
    """How the selection uses a scorer."""

    #: has the largest share of an average; exactly one scorer is primary
    PRIMARY = auto()
    #: shares the rest of an average
    SECONDARY = auto()
    #: may replace the primary scorer, where labels allow a comparison
    ALTERNATIVE = auto()
    #: learns from labelled anomalies, and is added to an average
    HEAD = auto()


@dataclass(frozen=True, kw_only=True)
class Readout:
    """The linear part of a patch scorer: `embedding @ weights + bias`."""

    #: (d, k)
    weights: NDArray[np.float32]
    #: (k,)
    bias: NDArray[np.float32]


@runtime_checkable
class PatchScorer(Protocol):
    """A fitted scorer of patches."""

    def patch_scores(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores (n,) of patch embeddings (n, d)."""
        ...

    def readout(self) -> Readout:
        """Return the linear part of the scores; the graph computes that of all scorers at once."""
        ...

    def add_patch_scores(self, graph: GraphWriter, readout: str) -> str:
        """Write `patch_scores`, given the readout (k, n); return the name of the scores (n,)."""
        ...


@runtime_checkable
class ImageScorer(Protocol):
    """A fitted scorer of whole images."""

    def image_scores(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores (B,) of pooled embeddings (B, 2d)."""
        ...

    def add_image_score(self, graph: GraphWriter, pooled: str) -> str:
        """Write `image_scores` of one image, (1, 2d); return the name of the score, a scalar."""
        ...


FittedScorer = PatchScorer | ImageScorer


class LabeledPatches(Protocol):
    """A labelled image with all of its patch embeddings."""

    @property
    def label(self) -> Label: ...

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """(n, d)"""  # noqa: D415 - a shape
        ...

    @property
    def marked(self) -> NDArray[np.float32] | None:
        """The share (n,) of each patch that the mask calls anomalous; None without a mask."""
        ...

    def rows(self, selection: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings of some patches."""
        ...


@dataclass(frozen=True, kw_only=True)
class FittingData:
    """The features that scorers are fitted to: those of the images of some folds."""

    #: name of a memory bank -> (d, p)
    projections: Mapping[str, NDArray[np.float32]]
    #: name of a memory bank -> (n, p) projected patches of normal images
    candidates: Mapping[str, NDArray[np.float32]]
    #: over all patches of normal images
    moments: Moments
    #: label -> (2d,) pooled embedding of each image
    pooled: Mapping[Label, Sequence[NDArray[np.float32]]]
    images: Sequence[LabeledPatches]
    #: shared by all scorers: one draws after the other, in the order of the registry
    generator: np.random.Generator
    #: the scorers before this one in the registry
    fitted: Mapping[Scorer, FittedScorer]


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """One entry of the registry."""

    #: in the history of bundles, and for people
    name: str
    role: Role
    #: whether `fit` returns a `PatchScorer`; else it returns an `ImageScorer`
    scores_patches: bool
    fit: Callable[[FittingData], FittedScorer]
    #: different normal images that an average needs before this scorer takes part
    min_normal_images: int = 1

    @property
    def positional(self) -> bool:
        """Whether patch scores are weighted by their positions in the image.

        The scores of heads are not: they may be negative, and heads learn anomalies at the border.
        """
        return self.scores_patches and self.role is not Role.HEAD


@dataclass(frozen=True)
class ScoreKey:
    """Names one score of an image."""

    scorer: Scorer
    #: whether each patch score is divided by the scale of its position
    by_position: bool = False

    def __str__(self) -> str:
        """Return the name of the score in the history of bundles."""
        return f"{self.scorer.name} by place" if self.by_position else self.scorer.name
