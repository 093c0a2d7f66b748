from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from blemish.engine.backbones.backbone import Backbone, load_backbone
from blemish.engine.backbones.embedding import Embedder, add_features, add_readout
from blemish.engine.graph.sessions import open_session
from blemish.engine.graph.writer import GraphWriter
from tests.products import CHANNELS, draw

WIDTH, HEIGHT = 96, 64


@pytest.fixture(scope="module")
def backbone(backbone_file: Path) -> Backbone:
    return load_backbone(backbone_file)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return draw(1, "stain", size=(WIDTH, HEIGHT)).pixels


def expected_embeddings(backbone: Backbone, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute embeddings as the paper says, one step after the other, at full width."""
    scaled = (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    image = scaled.transpose(2, 0, 1)[np.newaxis].astype(np.float32)
    session = open_session(backbone.model.SerializeToString(), threads=1)
    layer2, layer3 = session.run(["layer2", "layer3"], {"image": image})
    h, w = layer2.shape[2:]
    enlarged = [
        np.asarray(Image.fromarray(plane).resize((w, h), Image.Resampling.BILINEAR))
        for plane in averaged(layer3[0])
    ]
    joined = np.concatenate([averaged(layer2[0]), enlarged])
    return joined.reshape(len(joined), -1).T


def averaged(feature_map: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average over the 3 x 3 positions around each, those that there are."""
    result = np.empty_like(feature_map)
    _, h, w = feature_map.shape
    for y in range(h):
        for x in range(w):
            around = feature_map[:, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            result[:, y, x] = around.mean(axis=(1, 2))
    return result


def test_embeddings_are_averaged_and_joined_feature_maps(
    backbone: Backbone, pixels: NDArray[np.uint8]
) -> None:
    embedder = Embedder(backbone, width=WIDTH, height=HEIGHT, threads=1)

    embeddings = embedder.embed(pixels)

    assert embedder.grid == (HEIGHT // 8, WIDTH // 8)
    assert embeddings.shape == (96, sum(CHANNELS.values()))
    np.testing.assert_allclose(embeddings, expected_embeddings(backbone, pixels), atol=1e-5)


def test_a_readout_is_a_linear_function_of_the_embeddings(
    backbone: Backbone, pixels: NDArray[np.uint8]
) -> None:
    generator = np.random.default_rng(2)
    width = sum(CHANNELS.values())
    weights = generator.standard_normal((width, 5), dtype=np.float32)
    bias = generator.standard_normal(5, dtype=np.float32)
    graph = GraphWriter()
    maps = add_features(graph, backbone, width=WIDTH, height=HEIGHT)
    graph.add("Identity", add_readout(graph, maps, weights=weights, bias=bias), output="readout")
    graph.output("readout", np.float32, (1, 5, *maps.grid))
    session = open_session(graph.model().SerializeToString(), threads=1)

    readout = session.run(None, {"pixels": pixels[np.newaxis]})[0]

    embeddings = Embedder(backbone, width=WIDTH, height=HEIGHT, threads=1).embed(pixels)
    np.testing.assert_allclose(
        readout[0].reshape(5, -1).T, embeddings @ weights + bias, atol=1e-4, rtol=1e-4
    )
