import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.engine.scorers.pooling import image_score, pooled_embedding, top_count

SEEDS = st.integers(0, 2**31)


@given(seed=SEEDS, n=st.integers(1, 2_000))
def test_the_image_score_is_the_mean_of_the_top_percent(seed: int, n: int) -> None:
    scores = np.random.default_rng(seed).random(n, dtype=np.float32)

    score = image_score(scores)

    assert score == pytest.approx(np.sort(scores)[::-1][: top_count(n)].mean(), rel=1e-5)


@pytest.mark.parametrize(("patches", "count"), [(1, 1), (149, 1), (151, 2), (768, 8), (1_024, 10)])
def test_the_top_percent_is_rounded_and_never_empty(patches: int, count: int) -> None:
    assert top_count(patches) == count


def test_pooling_gives_mean_and_deviation_of_each_channel() -> None:
    generator = np.random.default_rng(5)
    embeddings = generator.normal(50, 3, (300, 6)).astype(np.float32)

    pooled = pooled_embedding(embeddings)

    np.testing.assert_allclose(pooled[:6], embeddings.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(pooled[6:], embeddings.std(axis=0), rtol=1e-2)
