"""The parts of the graph that leave out what is ignored, and how they are changed later.

Two constants say what counts: `inspected_pixels` and `inspected_patches`. Everything else follows
from them inside the graph, so that other regions only overwrite their bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from blemish.engine.graph.initializers import with_initializer
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.images.regions import InspectedArea

INSPECTED_PIXELS, INSPECTED_PATCHES = "inspected_pixels", "inspected_patches"

_BOOL, _FLOAT, _INT32, _INT64, _UINT8 = 9, 1, 6, 7, 2
_LOWEST = -1e30
"""Score of a patch that is not inspected."""


@dataclass(frozen=True, kw_only=True)
class GraphRegions:
    """The names of what counts in a graph."""

    #: (1, height, width, 1)
    pixels: str
    #: (n,)
    patches: str
    #: (height, width)
    size: tuple[int, int]

    @classmethod
    def add(cls, graph: GraphWriter, area: InspectedArea) -> GraphRegions:
        """Write the constants."""
        return cls(
            pixels=graph.named_constant(INSPECTED_PIXELS, area.pixels[np.newaxis, ..., np.newaxis]),
            patches=graph.named_constant(INSPECTED_PATCHES, area.patches),
            size=(area.pixels.shape[0], area.pixels.shape[1]),
        )

    def add_filled(self, graph: GraphWriter, pixels: str) -> str:
        """Write `InspectedArea.filled` for pixels (1, height, width, 3)."""
        axes = graph.ints(1, 2)
        counted = graph.add("Cast", self.pixels, to=_INT32)
        values = graph.add("Cast", pixels, to=_INT32)
        sums = graph.add("ReduceSum", graph.add("Mul", values, counted), axes, keepdims=1)
        count = graph.add("ReduceSum", counted, axes, keepdims=1)
        half = graph.add("Div", count, graph.constant(np.array(2, dtype=np.int32)))
        mean = graph.add("Div", graph.add("Add", sums, half), count)
        return graph.add("Cast", graph.add("Where", self.pixels, values, mean), to=_UINT8)

    def add_top_mean(self, graph: GraphWriter, patch_scores: str, *, share: float) -> str:
        """Write the mean of the top share of the patch scores (n,) that count."""
        inspected = graph.add("Cast", self.patches, to=_FLOAT)
        wanted = graph.add("Mul", graph.add_sum(inspected), graph.scalar(share))
        count = graph.add("Max", graph.add("Round", wanted), graph.scalar(1))
        rows = graph.add("Reshape", graph.add("Cast", count, to=_INT64), graph.ints(1))
        scores = graph.add("Where", self.patches, patch_scores, graph.scalar(_LOWEST))
        return graph.add("ReduceMean", graph.add_top(scores, rows), keepdims=0)

    def add_weights(self, graph: GraphWriter, grid: tuple[int, int]) -> tuple[str, str]:
        """Write 1 for each patch that counts and 0 for others, (1, 1, h, w), and their sum."""
        inspected = graph.add("Cast", self.patches, to=_FLOAT)
        return graph.add("Reshape", inspected, graph.ints(1, 1, *grid)), graph.add_sum(inspected)

    def add_where_inspected(
        self, graph: GraphWriter, values: str, other: str, *, output: str
    ) -> str:
        """Write values (..., height, width), and another value at the pixels that are ignored."""
        pixels = graph.add("Reshape", self.pixels, graph.ints(*self.size))
        return graph.add("Where", pixels, values, other, output=output)


def with_regions(model: bytes, area: InspectedArea) -> bytes:
    """Return a serialised graph that has regions with others.

    Raises:
        BundleError: the graph has no regions, or sees images of another size.
    """
    changed = with_initializer(model, INSPECTED_PIXELS, area.pixels.tobytes())
    return with_initializer(changed, INSPECTED_PATCHES, area.patches.tobytes())
