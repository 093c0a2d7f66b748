from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import numpy_helper

from blemish.engine.bundle import Bundle, MeasuredScores, read_bundle
from blemish.engine.errors import BundleError
from blemish.engine.graph.writer import GraphWriter
from blemish.engine.runtime import Detector
from blemish.engine.thresholds import (
    MOST_TURNS,
    move_threshold,
    threshold_effect,
    turning_points,
)
from tests.products import LIMITS, draw, png

IMAGE = png(draw(41, "stain").pixels)
SCORES = st.lists(st.floats(0, 100, width=32), max_size=20).map(tuple)


@pytest.fixture(scope="module")
def trained(bundle: Path) -> Bundle:
    return read_bundle(bundle)


def initializers(bundle: Bundle) -> dict[str, onnx.TensorProto]:
    return {each.name: each for each in onnx.load_from_string(bundle.model).graph.initializer}


def verdict(bundle: Bundle) -> tuple[bool, float, float]:
    found = Detector.load(bundle, threads=1).detect(IMAGE, limits=LIMITS, mixed_sizes=False)
    return found.is_anomalous, found.confidence, found.threshold


def test_a_moved_threshold_turns_the_verdict_and_not_what_is_thought_of_the_score(
    trained: Bundle,
) -> None:
    is_anomalous, confidence, threshold = verdict(trained)
    assert is_anomalous

    moved = move_threshold(trained, 1_000.0)

    now_anomalous, opposite, in_force = verdict(moved)
    assert (now_anomalous, in_force) == (False, 1_000.0)
    assert opposite == pytest.approx(1 - confidence, abs=1e-6)
    assert (moved.info.threshold, moved.info.trained_threshold) == (1_000.0, threshold)


def test_nothing_but_the_default_of_the_graph_changes(trained: Bundle) -> None:
    moved = move_threshold(trained, 12.5)

    before, after = initializers(trained), initializers(moved)
    assert numpy_helper.to_array(after.pop("threshold")) == np.float32(12.5)
    assert before.pop("threshold") is not None
    assert before == after
    model = onnx.load_from_string(moved.model)
    onnx.checker.check_model(model)
    assert list(model.graph.node) == list(onnx.load_from_string(trained.model).graph.node)


@pytest.mark.parametrize("back", [None, "trained"])
def test_the_trained_threshold_gives_the_trained_bundle_again(
    trained: Bundle, back: str | None
) -> None:
    moved = move_threshold(move_threshold(trained, 0.0), 7.0)

    again = move_threshold(moved, None if back is None else trained.info.threshold)

    assert again == trained


def test_a_threshold_is_the_nearest_that_the_graph_can_hold(trained: Bundle) -> None:
    assert move_threshold(trained, 0.1).info.threshold == float(np.float32(0.1))


def test_a_graph_without_a_threshold_is_refused(trained: Bundle) -> None:
    graph = GraphWriter()
    pixels = graph.input("pixels", np.float32, (1,))
    graph.add("Add", pixels, graph.constant(np.array([1], dtype=np.float32)), output="score")
    graph.output("score", np.float32, (1,))
    without = replace(trained, model=graph.model().SerializeToString())

    with pytest.raises(BundleError, match="no threshold that can be moved"):
        move_threshold(without, 1.0)


def test_an_effect_counts_verdicts_at_and_above_the_threshold() -> None:
    scores = MeasuredScores(normal=(1.0, 2.0, 3.0), anomaly=(2.0, 4.0))

    effect = threshold_effect(scores, 2.0)

    assert (effect.true_positives, effect.false_positives) == (2, 2)
    assert (effect.true_negatives, effect.false_negatives) == (1, 0)
    assert tuple(effect.metrics) == pytest.approx((0.5, 1.0, 2 / 3))


def test_what_cannot_be_measured_is_none() -> None:
    effect = threshold_effect(MeasuredScores(normal=(1.0,), anomaly=()), 2.0)

    assert tuple(effect.metrics) == (None, None, None)


@given(normal=SCORES, anomaly=SCORES)
@example(normal=(0.0,), anomaly=(1.401298464324817e-45,))
def test_every_way_to_divide_the_test_images_is_shown(
    normal: tuple[float, ...], anomaly: tuple[float, ...]
) -> None:
    scores = MeasuredScores(normal=normal, anomaly=anomaly)

    points = turning_points(scores)

    found = [threshold_effect(scores, point) for point in points]
    positives = [effect.true_positives + effect.false_positives for effect in found]
    together = np.array(normal + anomaly, dtype=np.float32)
    if not len(together):
        assert points == []
        return
    wanted = {int((together >= level).sum()) for level in together} | {0}
    assert positives == sorted(wanted, reverse=True)
    assert points == sorted(points)


def test_of_many_thresholds_an_even_choice_is_shown() -> None:
    scores = MeasuredScores(normal=tuple(map(float, range(10_000))), anomaly=())

    points = turning_points(scores)

    assert len(points) == MOST_TURNS
    assert points[0] == 0
    assert points[-1] > 9_999
    assert np.ptp(np.diff(points)) <= 2
