"""What the graph leaves out, beside the same in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from blemish.engine.backbones.embedding import FeatureMaps, add_embeddings
from blemish.engine.errors import BundleError
from blemish.engine.graph.regions import GraphRegions, with_regions
from blemish.engine.graph.sessions import open_session
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.images.regions import InspectedArea
from blemish.engine.scorers.pooling import (
    TOP_SHARE,
    add_pooled_embedding,
    image_score,
    pooled_embedding,
)

HEIGHT, WIDTH, GRID = 12, 20, (12, 20)


@pytest.fixture
def area() -> InspectedArea:
    pixels = np.ones((HEIGHT, WIDTH), dtype=np.bool_)
    pixels[3:7, :11] = False
    return InspectedArea(pixels=pixels, patches=pixels.ravel())


def test_the_graph_fills_pixels_as_numpy_does(area: InspectedArea) -> None:
    graph = GraphWriter()
    name = graph.input("pixels", np.uint8, (1, HEIGHT, WIDTH, 3))
    filled = GraphRegions.add(graph, area).add_filled(graph, name)
    graph.add("Identity", filled, output="filled")
    graph.output("filled", np.uint8, (1, HEIGHT, WIDTH, 3))
    session = open_session(graph.model().SerializeToString(), threads=1)

    for seed in range(20):
        pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        (result,) = session.run(None, {"pixels": pixels[np.newaxis]})
        assert (result[0] == area.filled(pixels)).all()


def smoothing() -> bytes:
    """Return a graph that averages a layer as embeddings do."""
    graph = GraphWriter()
    graph.input("layer", np.float32, (1, 4, *GRID))
    maps = FeatureMaps(names={"layer": "layer"}, shapes={"layer": (4, *GRID)})
    graph.add("Identity", add_embeddings(graph, maps)[0], output="smooth")
    graph.output("smooth", np.float32, (1, 4, *GRID))
    data: bytes = graph.model().SerializeToString()
    return data


@pytest.mark.parametrize("width", [11, 20])
def test_the_graph_pools_what_counts_as_numpy_does(width: int) -> None:
    pixels = np.ones((HEIGHT, WIDTH), dtype=np.bool_)
    pixels[3:7, :width] = False
    area = InspectedArea(pixels=pixels, patches=pixels.ravel())
    graph = GraphWriter()
    graph.input("layer", np.float32, (1, 4, *GRID))
    maps = FeatureMaps(
        names={"layer": "layer"},
        shapes={"layer": (4, *GRID)},
        regions=GraphRegions.add(graph, area),
    )
    assert maps.regions is not None
    graph.add("Identity", add_pooled_embedding(graph, maps), output="pooled")
    row = graph.add("Slice", "layer", graph.ints(0), graph.ints(1), graph.ints(1))
    flat = graph.add("Reshape", row, graph.ints(-1))
    score = maps.regions.add_top_mean(graph, flat, share=TOP_SHARE)
    graph.add("Identity", score, output="score")
    graph.output("pooled", np.float32, (1, 8))
    graph.output("score", np.float32, ())
    session = open_session(graph.model().SerializeToString(), threads=1)
    layer = np.random.default_rng(1).standard_normal((1, 4, *GRID)).astype(np.float32)
    smooth = open_session(smoothing(), threads=1).run(None, {"layer": layer})[0]

    pooled, top = session.run(["pooled", "score"], {"layer": layer})

    embeddings = smooth.reshape(4, -1).T[area.patches]
    first = layer[0, 0].ravel()[area.patches]
    assert top == pytest.approx(image_score(first), rel=1e-6)
    np.testing.assert_allclose(pooled[0], pooled_embedding(embeddings), rtol=1e-4, atol=1e-5)


def test_a_graph_without_regions_takes_none(area: InspectedArea) -> None:
    graph = GraphWriter()
    graph.constant(np.zeros(3, dtype=np.float32))

    with pytest.raises(BundleError, match="no inspected_pixels that can be moved"):
        with_regions(graph.model().SerializeToString(), area)
