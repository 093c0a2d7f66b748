import numpy as np
import pytest

from blemish.engine.scorers.moments import Moments


def test_sums_of_parts_are_those_of_the_whole() -> None:
    rows = np.random.default_rng(0).normal(3, 2, (60, 5)).astype(np.float32)

    whole = Moments.of(rows[:20]) + Moments.none(5) + Moments.of(rows[20:])

    assert whole.count == 60
    assert whole.mean == pytest.approx(rows.mean(axis=0), rel=1e-5)
    np.testing.assert_allclose(whole.covariance, np.cov(rows.T, bias=True), rtol=1e-3, atol=1e-4)
