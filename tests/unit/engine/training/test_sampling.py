import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from blemish.engine.training.sampling import MAX_PATCHES, patch_quota, sample_rows


@given(images=st.integers(1, 200_000))
def test_quotas_fill_the_sample_and_hardly_more(images: int) -> None:
    total = images * patch_quota(images)

    assert MAX_PATCHES <= total < MAX_PATCHES + images


@given(n=st.integers(0, 60), count=st.integers(0, 60), seed=st.integers(0, 2**31))
def test_rows_are_sampled_without_repeats_and_in_order(n: int, count: int, seed: int) -> None:
    rows = np.arange(n, dtype=np.float32).reshape(-1, 1)

    sample = sample_rows(rows, count, generator=np.random.default_rng(seed))

    assert len(sample) == min(n, count)
    assert (np.diff(sample[:, 0]) > 0).all()
