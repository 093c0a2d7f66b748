from __future__ import annotations

import pytest

from blemish.console.models.rates import NOT_MEASURABLE, Rate, f1_text, wilson_interval


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (5, 6, 0.4365, 0.9699),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (950, 1000, 0.9347, 0.9619),
    ],
)
def test_an_interval_is_wilson_s(count: int, total: int, low: float, high: float) -> None:
    assert wilson_interval(count, total) == pytest.approx((low, high), abs=1e-4)


def test_a_rate_says_counts_first_and_then_its_interval() -> None:
    rate = Rate(count=5, total=6)

    assert rate.text == "5 of 6"
    assert rate.interval_text == "83%, likely 44% to 97%"


def test_without_images_nothing_is_measurable() -> None:
    nothing = Rate(count=0, total=0)

    assert (nothing.text, nothing.interval_text) == (NOT_MEASURABLE, "")
    assert (f1_text(None), f1_text(0.0), f1_text(0.875)) == (NOT_MEASURABLE, "0.00", "0.88")
