"""The part of the graph that scores patches and the image.

Every scorer begins with something linear in the patch embeddings; all of it is one readout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from blemish.engine.backbones.embedding import FeatureMaps, add_embeddings, add_readout
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.scorers.positions import border_weights
from blemish.engine.scorers.scorers import MemoryBank, top_count
from blemish.engine.training.cross_validation import (
    IMAGE,
    IMAGE_HEAD,
    PATCH_HEAD,
    SUBSPACE,
    Parts,
)
from blemish.engine.training.score_table import BY_PLACE


class GraphScorers:
    """Writes the scorers that a detector uses, each once."""

    def __init__(
        self,
        graph: GraphWriter,
        maps: FeatureMaps,
        parts: Parts,
        *,
        scales: Mapping[str, NDArray[np.float32]],
    ) -> None:
        self._graph, self._maps, self._parts = graph, maps, parts
        self._scales = scales
        #: patch scorer -> name of its (n,) scores
        self.patch_scores: dict[str, str] = {}
        self._image_scores: dict[str, str] = {}

    def add(self, names: Sequence[str]) -> None:
        """Write the scorers of these names."""
        graph = self._graph
        plain = list(dict.fromkeys(name.removesuffix(BY_PLACE) for name in names))
        banks = self._parts.banks
        rows = self._add_rows([name for name in plain if name in {*banks, SUBSPACE, PATCH_HEAD}])
        for name in plain:
            if name in banks:
                self.patch_scores[name] = self._add_bank(banks[name], rows[name])
        if SUBSPACE in rows:
            self.patch_scores[SUBSPACE] = self._add_subspace(rows[SUBSPACE])
        if PATCH_HEAD in rows:
            self.patch_scores[PATCH_HEAD] = self._add_patch_head(rows[PATCH_HEAD])
        if {IMAGE, IMAGE_HEAD}.intersection(plain):
            pooled = self._add_pooled()
            if IMAGE in plain:
                self._image_scores[IMAGE] = self._add_image(pooled)
            if IMAGE_HEAD in plain:
                self._image_scores[IMAGE_HEAD] = self._add_image_head(pooled)
        for name in names:
            if name.endswith(BY_PLACE):
                base = name.removesuffix(BY_PLACE)
                scale = graph.constant((1 / self._scales[base]).astype(np.float32))
                self.patch_scores[name] = graph.add("Mul", self.patch_scores[base], scale)

    def image_score(self, name: str) -> str:
        """Return the name of a scorer's score of the image, a scalar."""
        if name in self._image_scores:
            return self._image_scores[name]
        h, w = self._maps.grid
        top = self._graph.add_top(self.patch_scores[name], top_count(h * w))
        return self._graph.add("ReduceMean", top, keepdims=0)

    def _add_rows(self, names: Sequence[str]) -> dict[str, str]:
        """Write what is linear in the embeddings; the result is (k, n) of each scorer."""
        if not names:
            return {}
        linear = {name: self._linear(name) for name in names}
        readout = add_readout(
            self._graph,
            self._maps,
            weights=np.concatenate([weights for weights, _ in linear.values()], axis=1),
            bias=np.concatenate([bias for _, bias in linear.values()]),
        )
        sizes = [len(bias) for _, bias in linear.values()]
        h, w = self._maps.grid
        rows = self._graph.add("Reshape", readout, self._graph.ints(sum(sizes), h * w))
        return dict(zip(names, self._graph.add_split(rows, sizes), strict=True))

    def _linear(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return weights (d, k) and bias (k,)."""
        parts = self._parts
        if name in parts.banks:
            return parts.banks[name].projection, -parts.banks[name].center
        if name == SUBSPACE:
            return parts.subspace.rest, -(parts.subspace.center @ parts.subspace.rest)
        assert parts.patch_head is not None
        return parts.patch_head.hidden_weights, parts.patch_head.hidden_bias

    def _add_bank(self, bank: MemoryBank, columns: str) -> str:
        """Write the bank's `patch_scores`, less at the border, for projected embeddings (p, n)."""
        graph = self._graph
        queries = graph.add("Transpose", columns, perm=[1, 0])
        norms = np.einsum("mp,mp->m", bank.rows, bank.rows)
        weights = graph.constant(-2 * bank.rows.T)
        products = graph.add("Gemm", queries, weights, graph.constant(norms))
        nearest = graph.add("ReduceMin", products, graph.ints(1), keepdims=0)
        squares = graph.add("ReduceSumSquare", columns, graph.ints(0), keepdims=0)
        return self._add_distances(graph.add("Add", nearest, squares))

    def _add_subspace(self, outside: str) -> str:
        """Write the subspace's `patch_scores`, less at the border, given coordinates (r, n)."""
        squares = self._graph.add("ReduceSumSquare", outside, self._graph.ints(0), keepdims=0)
        return self._add_distances(squares)

    def _add_patch_head(self, hidden: str) -> str:
        """Write the patch head's margins, given what goes into its hidden layer (k, n)."""
        graph, head = self._graph, self._parts.patch_head
        assert head is not None
        weights = graph.constant((head.weights[:, 1] - head.weights[:, 0])[np.newaxis])
        margins = graph.add("MatMul", weights, graph.add("Relu", hidden))
        flat = graph.add("Reshape", margins, graph.ints(-1))
        return graph.add("Add", flat, graph.scalar(head.bias[1] - head.bias[0]))

    def _add_pooled(self) -> str:
        """Write `pooled_embedding`; the result is (1, 2d)."""
        graph, embeddings = self._graph, add_embeddings(self._graph, self._maps)
        space, count = graph.ints(2, 3), graph.scalar(self._maps.grid[0] * self._maps.grid[1])
        means = [graph.add("ReduceMean", each, space, keepdims=1) for each in embeddings]
        deviations = []
        for each, mean in zip(embeddings, means, strict=True):
            offsets = graph.add("Sub", each, mean)
            squares = graph.add("ReduceSumSquare", offsets, space, keepdims=1)
            deviations.append(graph.add("Sqrt", graph.add("Div", squares, count)))
        pooled = graph.add("Concat", *means, *deviations, axis=1)
        return graph.add("Reshape", pooled, graph.ints(1, -1))

    def _add_image(self, pooled: str) -> str:
        """Write `ImageGaussian.image_scores`."""
        graph, gaussian = self._graph, self._parts.image
        offsets = graph.add("Sub", pooled, graph.constant(gaussian.center))
        inside = graph.add("MatMul", offsets, graph.constant(gaussian.directions))
        squares = graph.add("Mul", inside, inside)
        weighed = graph.add("Div", squares, graph.constant(gaussian.variances))
        whole = graph.add("ReduceSumSquare", offsets, keepdims=0)
        outside = graph.add("Relu", graph.add("Sub", whole, self._add_sum(squares)))
        rest = graph.add("Div", outside, graph.scalar(gaussian.rest))
        return graph.add("Sqrt", graph.add("Add", self._add_sum(weighed), rest))

    def _add_image_head(self, pooled: str) -> str:
        graph, head = self._graph, self._parts.image_head
        assert head is not None
        product = graph.add("MatMul", pooled, graph.constant(head.weights[:, np.newaxis]))
        return graph.add("Add", self._add_sum(product), graph.scalar(head.bias))

    def _add_sum(self, values: str) -> str:
        return self._graph.add("ReduceSum", values, keepdims=0)

    def _add_distances(self, squares: str) -> str:
        """Write the distance of each patch, less at the border."""
        distances = self._graph.add("Sqrt", self._graph.add("Relu", squares))
        seen = self._graph.constant(border_weights(self._maps.grid))
        return self._graph.add("Mul", distances, seen)
