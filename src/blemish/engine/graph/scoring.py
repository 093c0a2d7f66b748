"""The part of the graph that computes the scores of all scorers of a detector.

Every patch scorer begins with a linear readout of the patch embeddings; one convolution computes
the readouts of all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from blemish.engine.backbones.embedding import FeatureMaps, add_readout
from blemish.engine.graph.regions import GraphRegions
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.scorers.pooling import TOP_SHARE, add_pooled_embedding, add_top_mean
from blemish.engine.scorers.positions import border_weights
from blemish.engine.scorers.scorer import (
    FittedScorer,
    ImageScorer,
    PatchScorer,
    ScoreKey,
    Scorer,
)


@dataclass(frozen=True, kw_only=True)
class GraphScores:
    """The scores in a graph."""

    graph: GraphWriter
    #: of an image
    patches: int
    #: None if everything counts
    regions: GraphRegions | None = None
    #: key -> name of the scores (n,)
    patch_scores: dict[ScoreKey, str] = field(default_factory=dict)
    #: key -> name of the score of an image scorer
    image_scores: dict[ScoreKey, str] = field(default_factory=dict)

    def image_score(self, key: ScoreKey) -> str:
        """Return the name of a score of the image, a scalar."""
        if key in self.image_scores:
            return self.image_scores[key]
        if self.regions is not None:
            return self.regions.add_top_mean(self.graph, self.patch_scores[key], share=TOP_SHARE)
        return add_top_mean(self.graph, self.patch_scores[key], self.patches)


def add_scores(
    graph: GraphWriter,
    maps: FeatureMaps,
    scorers: Mapping[Scorer, FittedScorer],
    keys: Collection[ScoreKey],
    *,
    scales: Mapping[Scorer, NDArray[np.float32]],
) -> GraphScores:
    """Write the scores of these keys; each scorer is written once.

    Args:
        graph: where the nodes are added.
        maps: the feature maps of the image.
        scorers: in the order in which they are written.
        keys: the scores that the detector uses.
        scales: positional scorer -> (n,) scale of each position.
    """
    h, w = maps.grid
    scores = GraphScores(graph=graph, patches=h * w, regions=maps.regions)
    wanted = {key.scorer for key in keys}
    used = {scorer: fitted for scorer, fitted in scorers.items() if scorer in wanted}
    _add_patch_scores(scores, maps, used)
    _add_image_scores(scores, maps, used)
    for key in keys:
        if key.by_position:
            scale = graph.constant((1 / scales[key.scorer]).astype(np.float32))
            plain = scores.patch_scores[ScoreKey(key.scorer)]
            scores.patch_scores[key] = graph.add("Mul", plain, scale)
    return scores


def _add_patch_scores(
    scores: GraphScores, maps: FeatureMaps, used: Mapping[Scorer, FittedScorer]
) -> None:
    graph = scores.graph
    fitted = {scorer: entry for scorer, entry in used.items() if isinstance(entry, PatchScorer)}
    for scorer, readout in _add_readouts(graph, maps, fitted).items():
        result = fitted[scorer].add_patch_scores(graph, readout)
        if scorer.positional:
            result = graph.add("Mul", result, graph.constant(border_weights(maps.grid)))
        scores.patch_scores[ScoreKey(scorer)] = result


def _add_readouts(
    graph: GraphWriter, maps: FeatureMaps, fitted: Mapping[Scorer, PatchScorer]
) -> dict[Scorer, str]:
    """Write the readouts; return the name of each, (k, n)."""
    if not fitted:
        return {}
    readouts = [scorer.readout() for scorer in fitted.values()]
    joined = add_readout(
        graph,
        maps,
        weights=np.concatenate([readout.weights for readout in readouts], axis=1),
        bias=np.concatenate([readout.bias for readout in readouts]),
    )
    sizes = [len(readout.bias) for readout in readouts]
    h, w = maps.grid
    rows = graph.add("Reshape", joined, graph.ints(sum(sizes), h * w))
    return dict(zip(fitted, graph.add_split(rows, sizes), strict=True))


def _add_image_scores(
    scores: GraphScores, maps: FeatureMaps, used: Mapping[Scorer, FittedScorer]
) -> None:
    graph = scores.graph
    fitted = {scorer: entry for scorer, entry in used.items() if isinstance(entry, ImageScorer)}
    if not fitted:
        return
    pooled = add_pooled_embedding(graph, maps)
    for scorer, entry in fitted.items():
        scores.image_scores[ScoreKey(scorer)] = entry.add_image_score(graph, pooled)
