"""The memory bank: patch embeddings of normal images, projected, and thinned out to a coreset.

A patch scores by its distance to the nearest row of the bank. A backbone that joins networks has
a bank for each: then a patch scores by the geometric mean of its distances. It needs no common unit
of the networks, and is high where they agree. Further banks, of one layer or network alone or
whitened, may replace the first one where labels allow a comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blemish.engine.backbones.catalogue import EFFICIENTNET_LITE0, SCATTERING
from blemish.engine.backbones.layers import LAYERS
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.scorers.coreset import select_coreset
from blemish.engine.scorers.moments import principal_directions
from blemish.engine.scorers.scorer import FittingData, Readout, Role, Scorer

PROJECTED_WIDTH = 128
"""Embeddings are compared after a random projection to this width. It changes a distance by
`1 / sqrt(2 * width)`, 6 % (one standard deviation), and costs a third of the full width's time."""

PRINCIPAL_WIDTH = 64
"""Width of the embeddings in the bank: their principal directions after the random projection,
which hold 97 % of the variance or more. Half of the width takes half of the time."""

BANK_ROWS = 2_000

ALTERNATIVES_STEP = 3
"""An alternative bank has a third of the rows, selected from every third candidate: scoring with
all rows took half of a training's time."""

WHITENING_FLOOR = 0.1

_NAME = "memory bank"


def random_projection(width: int, *, seed: int) -> NDArray[np.float32]:
    """Return a Gaussian projection (width, p) that keeps distances on average.

    Source: Johnson and Lindenstrauss, 1984; the Gaussian form by Indyk and Motwani, 1998.
    """
    generator = np.random.default_rng([seed, width])
    shape = (width, PROJECTED_WIDTH)
    projection = generator.standard_normal(shape, dtype=np.float32)
    projection /= PROJECTED_WIDTH**0.5
    return projection


def bank_projections(
    channels: Mapping[str, slice],
    *,
    seed: int,
    alternatives: bool,
    networks: Mapping[str, slice] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Return the projections (d, p) of the memory bank, and of the bank of each layer or network.

    Args:
        channels: layer -> its part of an embedding.
        seed: of the projections.
        alternatives: whether to include the banks of single layers, or of single networks.
        networks: network -> its part of an embedding. With several, the projection of the memory
            bank (d, p * networks) has columns for each.
    """
    width = max(part.stop for part in channels.values())
    if networks is None or len(networks) == 1:
        projections = {MEMORY_BANK.name: random_projection(width, seed=seed)}
        parts = channels
    else:
        blocks = [_projection_of_part(part, width, seed=seed) for part in networks.values()]
        projections = {MEMORY_BANK.name: np.concatenate(blocks, axis=1)}
        parts = networks
    for name, part in parts.items() if alternatives else ():
        projections[_part_bank_name(name)] = _projection_of_part(part, width, seed=seed)
    return projections


def _projection_of_part(part: slice, width: int, *, seed: int) -> NDArray[np.float32]:
    """Return a projection (width, p) of a part of the embeddings."""
    projection = np.zeros((width, PROJECTED_WIDTH), dtype=np.float32)
    projection[part] = random_projection(part.stop - part.start, seed=seed)
    return projection


@dataclass(frozen=True, kw_only=True)
class MemoryBank:
    """Projected patch embeddings of normal images, minus their mean.

    Subtracting the mean changes no distance, and loses fewer digits.
    """

    #: (d, p)
    projection: NDArray[np.float32]
    #: (p,)
    center: NDArray[np.float32]
    #: (m, p)
    rows: NDArray[np.float32]

    def patch_scores(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the distance (n,) of each embedding (n, d), projected, to the nearest row."""
        queries = embeddings @ self.projection - self.center
        products = queries @ self.rows.T
        products *= -2
        products += np.einsum("mp,mp->m", self.rows, self.rows)
        squares = products.min(axis=1) + np.einsum("np,np->n", queries, queries)
        distances: NDArray[np.float32] = np.sqrt(np.maximum(squares, 0))
        return distances

    def readout(self) -> Readout:
        """Return the projected embeddings."""
        return Readout(weights=self.projection, bias=-self.center)

    def add_patch_scores(self, graph: GraphWriter, readout: str) -> str:
        """Write `patch_scores`, given projected embeddings (p, n).

        The norms of the rows are one more row of the weights: as the bias of a Gemm they took a
        sixth of its time.
        """
        queries = graph.add("Transpose", readout, perm=[1, 0])
        with_one = graph.add("Pad", queries, graph.ints(0, 0, 0, 1), graph.scalar(1))
        norms = np.einsum("mp,mp->m", self.rows, self.rows)
        weights = graph.constant(np.vstack([-2 * self.rows.T, norms]))
        products = graph.add("MatMul", with_one, weights)
        nearest = graph.add("ReduceMin", products, graph.ints(1), keepdims=0)
        total = graph.add("Add", nearest, graph.add_squared_norms(readout, len(self.center)))
        return graph.add("Sqrt", graph.add("Relu", total))

    def coarse(self, rows: int) -> MemoryBank:
        """Return a bank of the first rows, which cover the rest coarsely."""
        return replace(self, rows=self.rows[:rows])


@dataclass(frozen=True, kw_only=True)
class JoinedBanks:
    """The memory banks of two networks."""

    banks: tuple[MemoryBank, MemoryBank]

    def patch_scores(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the geometric mean (n,) of the scores of each embedding (n, d)."""
        first, second = (bank.patch_scores(embeddings) for bank in self.banks)
        scores: NDArray[np.float32] = np.sqrt(first * second)
        return scores

    def readout(self) -> Readout:
        """Return the projected embeddings of both banks."""
        readouts = [bank.readout() for bank in self.banks]
        return Readout(
            weights=np.concatenate([readout.weights for readout in readouts], axis=1),
            bias=np.concatenate([readout.bias for readout in readouts]),
        )

    def add_patch_scores(self, graph: GraphWriter, readout: str) -> str:
        """Write `patch_scores`, given projected embeddings (2p, n)."""
        parts = graph.add_split(readout, [len(bank.center) for bank in self.banks])
        first, second = (
            bank.add_patch_scores(graph, part) for bank, part in zip(self.banks, parts, strict=True)
        )
        return graph.add("Sqrt", graph.add("Mul", first, second))

    def coarse(self, rows: int) -> JoinedBanks:
        """Return banks of the first rows, which cover the rest coarsely."""
        first, second = (bank.coarse(rows) for bank in self.banks)
        return JoinedBanks(banks=(first, second))


def fit_memory_bank(
    candidates: NDArray[np.float32],
    projection: NDArray[np.float32],
    *,
    generator: np.random.Generator,
    rows: int = BANK_ROWS,
) -> MemoryBank:
    """Select a coreset of the embeddings of normal images.

    Args:
        candidates: (n, p) projected embeddings.
        projection: (d, p) that projected them.
        generator: of the coreset.
        rows: the largest size of the bank.
    """
    center = candidates.mean(axis=0)
    size = min(rows, len(candidates))
    coreset = select_coreset(candidates, size, generator=generator)
    return MemoryBank(projection=projection, center=center, rows=candidates[coreset] - center)


def whitening_matrix(candidates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a matrix (p, p) that gives all directions of projected embeddings equal variance.

    Directions in which the embeddings (n, p) hardly vary are noise: `WHITENING_FLOOR` of the mean
    variance is added to each. Distances keep their scale on average.
    """
    variances, directions = principal_directions(np.cov(candidates.T, dtype=np.float64))
    scales = 1 / np.sqrt(variances + WHITENING_FLOOR * variances.mean() + 1e-30)
    scales /= np.sqrt(np.square(scales).mean())
    whitening: NDArray[np.float32] = (directions * scales).astype(np.float32)
    return whitening


def _fit_networks(
    data: FittingData, fit: Callable[[NDArray[np.float32], NDArray[np.float32]], MemoryBank]
) -> MemoryBank | JoinedBanks:
    """Fit a bank to the candidates and the projection of each network."""
    candidates, projection = data.candidates[_NAME], data.projections[_NAME]
    if projection.shape[1] <= PROJECTED_WIDTH:
        return fit(candidates, projection)
    first, second = (
        fit(np.ascontiguousarray(candidates[:, columns]), projection[:, columns])
        for columns in (slice(PROJECTED_WIDTH), slice(PROJECTED_WIDTH, None))
    )
    return JoinedBanks(banks=(first, second))


def _fit_memory_bank(data: FittingData) -> MemoryBank | JoinedBanks:
    def fit(candidates: NDArray[np.float32], projection: NDArray[np.float32]) -> MemoryBank:
        _, directions = principal_directions(np.cov(candidates.T, dtype=np.float64))
        principal = directions[:, :PRINCIPAL_WIDTH].astype(np.float32)
        return fit_memory_bank(
            candidates @ principal, projection @ principal, generator=data.generator
        )

    return _fit_networks(data, fit)


def _fit_whitened_bank(data: FittingData) -> MemoryBank | JoinedBanks:
    def fit(candidates: NDArray[np.float32], projection: NDArray[np.float32]) -> MemoryBank:
        whitening = whitening_matrix(candidates)
        return fit_memory_bank(
            candidates[::ALTERNATIVES_STEP] @ whitening,
            projection @ whitening,
            generator=data.generator,
            rows=BANK_ROWS // ALTERNATIVES_STEP,
        )

    return _fit_networks(data, fit)


def _part_bank(part: str) -> Scorer:
    name = _part_bank_name(part)

    def fit(data: FittingData) -> MemoryBank:
        return fit_memory_bank(
            data.candidates[name],
            data.projections[name],
            generator=data.generator,
            rows=BANK_ROWS // ALTERNATIVES_STEP,
        )

    return Scorer(name=name, role=Role.ALTERNATIVE, scores_patches=True, fit=fit)


def _part_bank_name(part: str) -> str:
    return f"{_NAME}, {part} alone"


MEMORY_BANK = Scorer(name=_NAME, role=Role.PRIMARY, scores_patches=True, fit=_fit_memory_bank)

LAYER_BANKS = tuple(_part_bank(layer) for layer in LAYERS)

NETWORK_BANKS = tuple(_part_bank(network) for network in (SCATTERING, EFFICIENTNET_LITE0))

WHITENED_BANK = Scorer(
    name=f"{_NAME}, whitened",
    role=Role.ALTERNATIVE,
    scores_patches=True,
    fit=_fit_whitened_bank,
)
