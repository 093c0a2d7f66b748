import numpy as np
import pytest

from blemish.engine.scorers.memory_bank import MEMORY_BANK
from blemish.engine.scorers.scorer import ScoreKey
from blemish.engine.scorers.subspace import SUBSPACE
from blemish.engine.training.fusion import UNIT, fusion, standard

BANK, PLANE = ScoreKey(MEMORY_BANK), ScoreKey(SUBSPACE)


def test_the_average_normal_image_scores_one_and_each_deviation_a_unit_more() -> None:
    generator = np.random.default_rng(0)
    scores = {BANK: generator.normal(5, 0.5, 400), PLANE: generator.normal(-200, 30, 400)}
    standards = {key: standard(values) for key, values in scores.items()}

    whole = fusion({BANK: 0.5, PLANE: 0.5}, standards, total=1)

    assert whole.fuse(scores).mean() == pytest.approx(1)
    beyond = {key: np.array([value.mean + value.deviation]) for key, value in standards.items()}
    assert whole.fuse(beyond) == pytest.approx([1 + UNIT])


def test_over_few_images_a_deviation_is_drawn_to_a_tenth_of_the_mean() -> None:
    assert standard(np.array([40.0])).deviation == pytest.approx(4)
    alike = standard(np.array([40.0, 40.0, 40.0]))
    assert 0 < alike.deviation < 4
    many = np.random.default_rng(0).normal(40, 1, 2_000)
    assert standard(many).deviation == pytest.approx(1, rel=0.1)


def test_scores_that_are_all_zero_still_have_a_deviation() -> None:
    assert standard(np.zeros(5)).deviation > 0
