import numpy as np
import pytest

from blemish.engine.training.fusion import UNIT, fusion, standard


def test_the_average_normal_image_scores_one_and_each_deviation_a_unit_more() -> None:
    generator = np.random.default_rng(0)
    scores = {"near": generator.normal(5, 0.5, 400), "far": generator.normal(-200, 30, 400)}
    standards = {name: standard(values) for name, values in scores.items()}

    whole = fusion({"near": 0.5, "far": 0.5}, standards, total=1)

    assert whole.fuse(scores).mean() == pytest.approx(1)
    beyond = {name: np.array([each.mean + each.deviation]) for name, each in standards.items()}
    assert whole.fuse(beyond) == pytest.approx([1 + UNIT])


def test_over_few_images_a_deviation_is_drawn_to_a_tenth_of_the_mean() -> None:
    assert standard(np.array([40.0])).deviation == pytest.approx(4)
    alike = standard(np.array([40.0, 40.0, 40.0]))
    assert 0 < alike.deviation < 4
    many = np.random.default_rng(0).normal(40, 1, 2_000)
    assert standard(many).deviation == pytest.approx(1, rel=0.1)


def test_scores_that_are_all_zero_still_have_a_deviation() -> None:
    assert standard(np.zeros(5)).deviation > 0
