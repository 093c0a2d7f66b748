from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from blemish.console.projects.detection_chart import (
    RANGES,
    bar_options,
    beginning,
    nice_ceiling,
    ratio_options,
    spans_of,
)
from blemish.domain.entities import DetectionCount

NOW = datetime(2026, 3, 30, 10, 20, tzinfo=UTC)


def count(hour: datetime, images: int, anomalies: int) -> DetectionCount:
    return DetectionCount(model_version=1, hour=hour, images=images, anomalies=anomalies)


@pytest.mark.parametrize(
    ("name", "begin"),
    [
        ("24h", datetime(2026, 3, 29, 11, tzinfo=UTC)),
        ("7d", datetime(2026, 3, 23, 12, tzinfo=UTC)),
        ("30d", datetime(2026, 3, 1, tzinfo=UTC)),
        ("12m", datetime(2025, 4, 1, tzinfo=UTC)),
    ],
)
def test_a_range_ends_with_the_span_that_is_now(name: str, begin: datetime) -> None:
    assert beginning(RANGES[name], NOW, UTC) == begin


def test_days_are_those_of_the_visitor_though_clocks_were_changed() -> None:
    zone = ZoneInfo("Europe/Berlin")  # summer time began on 29 March
    wanted = RANGES["30d"]
    begin = beginning(wanted, NOW, zone)

    spans = spans_of(
        [
            count(datetime(2026, 3, 27, 22, tzinfo=UTC), 1, 0),  # 23 o'clock
            count(datetime(2026, 3, 29, 21, tzinfo=UTC), 2, 1),  # 23 o'clock
            count(datetime(2026, 3, 29, 22, tzinfo=UTC), 4, 2),  # midnight
        ],
        wanted,
        begin,
    )

    counted = {f"{span.begin:%d %b %H}": span.images for span in spans if span.images}
    assert counted == {"27 Mar 00": 1, "29 Mar 00": 2, "30 Mar 00": 4}


def test_counts_outside_of_a_range_are_left_out() -> None:
    wanted = RANGES["24h"]
    begin = beginning(wanted, NOW, UTC)
    outside = [count(begin - timedelta(hours=1), 5, 5), count(NOW + timedelta(days=1), 5, 5)]

    spans = spans_of([*outside, count(begin, 3, 1)], wanted, begin)

    assert [span.images for span in spans] == [3] + [0] * 23
    assert spans[0].ratio == pytest.approx(1 / 3)
    assert spans[1].ratio is None


@pytest.mark.parametrize(
    ("number", "ceiling"), [(0, 2), (2, 2), (3, 4), (5, 10), (11, 20), (150, 200), (401, 1_000)]
)
def test_scales_end_at_a_number_that_is_halved_easily(number: int, ceiling: int) -> None:
    assert nice_ceiling(number) == ceiling


def test_charts_have_a_bar_for_each_span_and_a_gap_where_nothing_was_judged() -> None:
    wanted = RANGES["24h"]
    begin = beginning(wanted, NOW, UTC)
    spans = spans_of([count(begin, 100, 3), count(NOW, 50, 1)], wanted, begin)

    bars, line = bar_options(spans, wanted, opens=False), ratio_options(spans, wanted)

    columns, anomalies, others = (series["data"] for series in bars["series"])
    assert len(columns) == len(bars["xAxis"]["data"]) == 24
    assert columns[0]["tooltip"]["formatter"] == "11:00: 100 images, 3 anomalies"
    assert (anomalies[0], others[0], bars["yAxis"]["max"]) == (3, 97, 100)
    assert line["series"][0]["data"] == [3.0, *["-"] * 22, 2.0]
    assert line["yAxis"]["max"] == 10
