from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from blemish.engine.backbones.embedding import PIXELS, FeatureMaps
from blemish.engine.graph.segmentation import (
    SPECK_WINDOW,
    add_class_probabilities,
    averaging_matrix,
    window_matrix,
)
from blemish.engine.graph.sessions import open_session
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.scorers.patch_classifier import HIDDEN, PatchClassifier
from tests.refining import refined

GRID = (6, 8)
SIZE = (48, 64)
PATCH = 64
"""Pixels of a patch."""

FLAT = np.full((*SIZE, 3), 128, np.uint8)
"""An image without an edge."""


def probabilities(
    head: PatchClassifier, feature_map: NDArray[np.float32], pixels: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Run the segmentation alone, on feature maps (C, h, w) that nothing averages."""
    graph = GraphWriter()
    graph.input(PIXELS, np.uint8, (1, *SIZE, 3))
    shape = (len(feature_map), *GRID)
    names = {"layer2": "first", "layer3": "second"}
    for name in names.values():
        graph.input(name, np.float32, (1, *shape))
    maps = FeatureMaps(names=names, shapes=dict.fromkeys(names, shape))
    add_class_probabilities(graph, maps, head, SIZE)
    session = open_session(graph.model().SerializeToString(), threads=1)
    first = feature_map[np.newaxis]
    inputs = {PIXELS: pixels[np.newaxis], "first": first, "second": np.zeros_like(first)}
    answer: NDArray[np.float32] = session.run(["class_probabilities"], inputs)[0]
    return answer


def passing_head(classes: int, *, speck_area: float = 0.0) -> PatchClassifier:
    """Make a head whose logits are the first channels of the embeddings, if they are positive."""
    first = np.zeros((2 * classes, HIDDEN), np.float32)
    first[:classes, :classes] = np.eye(classes)
    return PatchClassifier(
        hidden_weights=first,
        hidden_bias=np.zeros(HIDDEN, np.float32),
        weights=np.eye(HIDDEN, classes, dtype=np.float32),
        bias=np.zeros(classes, np.float32),
        speck_area=speck_area,
    )


def averaged(feature_map: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits (classes, h, w) of `passing_head`."""
    padded = np.pad(feature_map, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    means: NDArray[np.float32] = np.nanmean(windows, axis=(3, 4)).astype(np.float32)
    return means


@given(seed=st.integers(0, 2**31), classes=st.integers(2, 4))
def test_numpy_and_the_graph_agree(seed: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    feature_map = generator.random((classes, *GRID), dtype=np.float32) * 5
    pixels = generator.integers(0, 256, (*SIZE, 3), dtype=np.uint8)

    found = probabilities(passing_head(classes), feature_map, pixels)

    odds = np.exp(refined(averaged(feature_map), pixels))
    np.testing.assert_allclose(found, odds / odds.sum(axis=0), atol=1e-4)


def stain(columns: slice, height: float = 6.0) -> NDArray[np.float32]:
    """Return logits of a background of 3 and of a stain that is higher in some columns."""
    feature_map = np.zeros((2, *GRID), np.float32)
    feature_map[0] = 3
    feature_map[1, :, columns] = height
    return feature_map


@pytest.mark.parametrize("edge", [27, 30, 33])
def test_a_mask_ends_at_the_edge_in_the_image(edge: int) -> None:
    pixels = FLAT.copy()
    pixels[:, edge:] = 40

    found = probabilities(passing_head(2), stain(slice(4, None)), pixels)[1] > 0.5

    missed = (found != (np.arange(SIZE[1]) >= edge)).mean(axis=0)
    assert missed.sum() <= 1  # columns

    without = probabilities(passing_head(2), stain(slice(4, None)), FLAT)[1] > 0.5
    assert np.flatnonzero(without.all(axis=0))[0] == pytest.approx(32, abs=1)


def test_probabilities_sum_to_one_whatever_the_logits() -> None:
    found = probabilities(passing_head(3), np.full((3, *GRID), 500, np.float32), FLAT)

    np.testing.assert_allclose(found.sum(axis=0), np.ones(SIZE), atol=1e-5)


def test_a_speck_is_taken_for_background() -> None:
    feature_map = stain(slice(0, 0))
    feature_map[1, 3, 4] = 30
    size = (probabilities(passing_head(2), feature_map, FLAT)[1] > 0.5).sum() / PATCH
    assert 1 < size < SPECK_WINDOW**2

    gone = probabilities(passing_head(2, speck_area=size + 0.1), feature_map, FLAT)
    there = probabilities(passing_head(2, speck_area=size - 0.1), feature_map, FLAT)

    assert (gone[1] <= 0.5).all()
    assert (there[1] > 0.5).sum() / PATCH == size


def test_a_long_region_keeps_its_ends() -> None:
    feature_map = stain(slice(0, 0))
    feature_map[1, 3, 1:7] = 10
    head = passing_head(2)

    plain = probabilities(head, feature_map, FLAT)
    cleaned = probabilities(replace(head, speck_area=2.5), feature_map, FLAT)

    assert (plain[1] > 0.5).any()
    np.testing.assert_array_equal(cleaned[1] > 0.5, plain[1] > 0.5)


@given(after=st.integers(1, 12), times=st.integers(1, 9))
def test_parts_of_a_side_are_averaged(after: int, times: int) -> None:
    side = np.arange(after * times, dtype=np.float32) ** 2

    means = averaging_matrix(after * times, after) @ side

    np.testing.assert_allclose(means, side.reshape(after, times).mean(axis=1), rtol=1e-4)


@given(before=st.integers(1, 60), after=st.integers(1, 20))
def test_averaging_leaves_a_constant_side_as_it_is(before: int, after: int) -> None:
    rows = averaging_matrix(before, after).sum(axis=1)

    np.testing.assert_allclose(rows, np.ones(after), rtol=1e-4)


def test_a_window_reaches_one_cell_to_each_side() -> None:
    sums = window_matrix(8, 4) @ np.array([1, 0, 0, 0, 0, 2, 4, 8], np.float32)

    assert sums.tolist() == [1, 3, 14, 14]
