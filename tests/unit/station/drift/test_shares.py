from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom

from blemish.station.drift.shares import (
    BASELINE,
    BLOCKS,
    ShareBand,
    ShareCount,
    ShareWatch,
    block_chance,
    expected_band,
)

BAND = ShareBand(low=0.02, high=0.05)


def watched(watch: ShareWatch, share: float, images: int, *, seed: int = 0) -> list[ShareWatch]:
    """Return the watch after each of some images of which a share is anomalous."""
    watches = []
    for draw in np.random.default_rng(seed).random(images):
        watch = watch.add(is_anomalous=bool(draw < share), band=BAND)
        watches.append(watch)
    return watches


def test_the_chance_is_that_of_the_binomial_distribution() -> None:
    many = ShareCount(images=1_000, anomalous=90)
    few = ShareCount(images=1_000, anomalous=1)

    assert block_chance(many, BAND) == pytest.approx(binom.sf(89, 1_000, 0.05), rel=1e-6)
    assert block_chance(few, BAND) == pytest.approx(binom.cdf(1, 1_000, 0.02), rel=1e-6)
    assert block_chance(ShareCount(images=1_000, anomalous=30), BAND) == 1


@pytest.mark.parametrize("limit", [1e-2, 1e-3])
@pytest.mark.parametrize("share", [BAND.low, BAND.high])
@pytest.mark.parametrize("length", BLOCKS)
def test_false_alarms_are_no_more_frequent_than_stated(
    length: int, share: float, limit: float
) -> None:
    blocks = np.random.default_rng(0).binomial(length, share, size=100_000)

    values, counts = np.unique(blocks, return_counts=True)
    alarms = sum(
        count
        for value, count in zip(values.tolist(), counts.tolist(), strict=True)
        if block_chance(ShareCount(images=length, anomalous=value), BAND) <= limit
    )

    rate = limit * len(blocks)
    assert alarms <= rate + 4 * np.sqrt(rate)


def test_weeks_at_the_end_of_the_band_give_no_alarm() -> None:
    assert not any(watch.is_outside for watch in watched(ShareWatch(), BAND.high, 50_000))


def test_a_share_outside_of_the_band_is_one_alarm_that_ends_with_it() -> None:
    high = watched(ShareWatch(), 0.30, 5_000)
    normal = watched(high[-1], 0.03, 5_000)

    outside = [watch.is_outside for watch in (*high, *normal)]

    assert outside.index(True) < 2 * BLOCKS[0]
    changes = sum(first != second for first, second in pairwise(outside))
    assert changes == 2
    assert not outside[-1]


def test_a_share_below_the_band_is_an_alarm() -> None:
    assert watched(ShareWatch(), 0, 2 * BLOCKS[1])[-1].is_outside


def test_the_band_is_learned_from_the_first_images() -> None:
    watch = ShareWatch()
    for number in range(BASELINE):
        assert watch.band(None) is None
        watch = watch.add(is_anomalous=number % 50 == 0, band=None)

    band = watch.band(None)

    assert band == expected_band(ShareCount(images=BASELINE, anomalous=10), deviations=4)
    assert band is not None
    assert 0 < band.low < 0.02 < band.high < 0.1


def test_the_records_give_back_the_same_watch() -> None:
    watch = replace(watched(ShareWatch(), 0.3, 250)[-1], baseline=ShareCount(images=3, anomalous=1))

    assert ShareWatch.from_json(watch.to_json()) == watch
