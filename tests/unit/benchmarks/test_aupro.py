from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.aupro import aupro

Booleans = NDArray[np.bool_]
Scores = NDArray[np.floating[Any]]
SEEDS = st.integers(0, 2**31)


def brute_force_aupro(
    masks: Sequence[Booleans], maps: Sequence[Scores], *, fpr_limit: float
) -> float:
    """Follow the definition, one threshold after the other, on a fine grid of false alarms."""
    points = [(0.0, 0.0)]
    for threshold in sorted(
        {value for anomaly_map in maps for value in anomaly_map.ravel()}, reverse=True
    ):
        overlaps: list[float] = []
        alarms, normal = 0, 0
        for mask, anomaly_map in zip(masks, maps, strict=True):
            regions, count = ndimage.label(mask, structure=np.ones((3, 3)))
            overlaps += [
                float((anomaly_map >= threshold)[regions == r].mean()) for r in range(1, count + 1)
            ]
            alarms += int(((anomaly_map >= threshold) & ~mask).sum())
            normal += int((~mask).sum())
        points.append((alarms / normal, float(np.mean(overlaps))))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= fpr_limit or x0 == x1:
            continue
        end = min(x1, fpr_limit)
        y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
        area += (end - x0) * (y0 + y_end) / 2
    return area / fpr_limit


@given(
    seed=SEEDS,
    levels=st.sampled_from([2, 5, 1_000]),
    fpr_limit=st.sampled_from([0.05, 0.3, 0.5, 1.0]),
)
def test_aupro_follows_the_definition(seed: int, levels: int, fpr_limit: float) -> None:
    generator = np.random.default_rng(seed)
    shapes = [(5, 6), (7, 4)]  # images may differ in size
    masks = [generator.random(shape) < 0.3 for shape in shapes]
    maps = [generator.integers(0, levels, shape).astype(np.float64) for shape in shapes]
    assume(any(mask.any() for mask in masks))

    ours = aupro(masks, maps, fpr_limit=fpr_limit)

    assert ours == pytest.approx(brute_force_aupro(masks, maps, fpr_limit=fpr_limit))


def test_aupro_counts_a_small_region_as_much_as_a_large_one() -> None:
    mask = np.zeros((10, 10), dtype=np.bool_)
    mask[0, 0] = True
    mask[4:9, 4:9] = True
    only_small = np.where(mask, 0.0, 0.5)
    only_small[0, 0] = 1.0
    only_large = np.where(mask, 1.0, 0.5)
    only_large[0, 0] = 0.0

    assert aupro([mask], [only_small]) == pytest.approx(aupro([mask], [only_large]))


def test_aupro_of_a_perfect_map_is_one_and_of_an_inverse_one_zero() -> None:
    mask = np.zeros((8, 8), dtype=np.bool_)
    mask[2:4, 3:6] = True
    generator = np.random.default_rng(0)
    noise = generator.random((8, 8))

    assert aupro([mask], [noise + mask]) == pytest.approx(1.0)
    assert aupro([mask], [noise - mask]) == pytest.approx(0.0)


@pytest.mark.parametrize("value", [False, True])
def test_aupro_of_one_kind_of_pixel_alone_is_none(value: bool) -> None:
    masks = [np.full((4, 4), value)]

    assert aupro(masks, [np.ones((4, 4))]) is None
