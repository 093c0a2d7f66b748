"""Detections over time: counts put together into spans, as charts of bars and of a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from blemish.console.language.messages import later, say
from blemish.console.language.numbers import number_text
from blemish.console.ui.chart import AXIS, GREY, TOOLTIP
from blemish.domain.entities import DetectionCount

DAY = timedelta(days=1)
CEILINGS = (2, 10, 20, 50, 100)
"""The tops of the scale of shares in per cent, which are small on a good line."""

GRID: Mapping[str, int] = {"left": 56, "right": 8, "top": 12, "bottom": 26}
"""Pixels around the plot; the style sheet lays the links of the bars over it."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """A time up to now, and the spans that it is shown in."""

    title: str
    span: timedelta
    spans: int
    #: how the beginning of a span is written
    format: str


RANGES = {
    "24h": Range(title=later("24 hours"), span=timedelta(hours=1), spans=24, format="%H:%M"),
    "7d": Range(title=later("7 days"), span=timedelta(hours=6), spans=28, format="%d %b %H:%M"),
    "30d": Range(title=later("30 days"), span=DAY, spans=30, format="%d %b"),
    "12m": Range(title=later("12 months"), span=7 * DAY, spans=52, format="%d %b %Y"),
}


@dataclass(frozen=True, kw_only=True)
class Span:
    """The detections in a span of time."""

    begin: datetime
    images: int
    anomalies: int

    @property
    def ratio(self) -> float | None:
        """The share of anomalies; None of no images."""
        return self.anomalies / self.images if self.images else None


def beginning(wanted: Range, now: datetime, zone: tzinfo) -> datetime:
    """Return when a range that has `now` in its last span begins, by the clocks of a zone."""
    local = now.astimezone(zone)
    step = min(wanted.span, DAY)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    end = midnight + ((local - midnight) // step + 1) * step
    return end - wanted.spans * wanted.span


def spans_of(counts: Iterable[DetectionCount], wanted: Range, begin: datetime) -> list[Span]:
    """Put counts by the hour together into the spans of a range, by the clocks of its zone."""
    images, anomalies = [0] * wanted.spans, [0] * wanted.spans
    for count in counts:
        # of two moments in one zone Python takes what clocks show, whenever they were changed
        index = (count.hour.astimezone(begin.tzinfo) - begin) // wanted.span
        if 0 <= index < wanted.spans:
            images[index] += count.images
            anomalies[index] += count.anomalies
    return [
        Span(begin=begin + index * wanted.span, images=images[index], anomalies=anomalies[index])
        for index in range(wanted.spans)
    ]


def bar_options(spans: list[Span], wanted: Range, *, opens: bool) -> Mapping[str, Any]:
    """Return images as a chart of bars, with anomalies as the lower part of each.

    Args:
        spans: one for each bar.
        wanted: the time.
        opens: whether a click on a bar opens something.
    """
    most = nice_ceiling(max(span.images for span in spans))
    columns = [
        {"value": most, "tooltip": {"formatter": span_title(span, wanted)}} for span in spans
    ]
    parts = (
        ("var(--anomaly)", [span.anomalies for span in spans]),
        ("var(--accent)", [span.images - span.anomalies for span in spans]),
    )
    bar = {"type": "bar", "barCategoryGap": "12%", "barGap": "-100%"}
    return {
        "grid": GRID,
        "tooltip": {**TOOLTIP, "trigger": "item"},
        "xAxis": _moments(spans, wanted),
        "yAxis": {**AXIS, "type": "value", "max": most, "interval": most // 2},
        "series": [
            {  # behind both: the pointer finds a low bar as well as a high one
                **bar,
                "data": columns,
                "cursor": "pointer" if opens else "default",
                "itemStyle": {"color": "transparent"},
                "emphasis": {"itemStyle": {"color": "var(--sunken)"}},
            },
            *(
                {
                    **bar,
                    "stack": "images",
                    "silent": True,
                    "z": 3,
                    "data": data,
                    "itemStyle": {"color": color},
                }
                for color, data in parts
            ),
        ],
    }


def ratio_options(spans: list[Span], wanted: Range) -> Mapping[str, Any]:
    """Return the share of anomalies as a line with gaps where there were no detections."""
    shares = [None if span.ratio is None else round(100 * span.ratio, 2) for span in spans]
    highest = max((share for share in shares if share is not None), default=0.0)
    top = next(ceiling for ceiling in CEILINGS if ceiling >= highest)
    return {
        "grid": GRID,
        "tooltip": {**TOOLTIP, "trigger": "axis", "formatter": "{b}: {c} %"},
        "xAxis": _moments(spans, wanted),
        "yAxis": {
            **AXIS,
            "type": "value",
            "min": 0,
            "max": top,
            "interval": top / 2,
            "axisLabel": {"color": GREY, "formatter": "{value} %"},
        },
        "series": [
            {
                "type": "line",
                "data": ["-" if share is None else share for share in shares],
                "symbolSize": 8,
                "symbol": "circle",
                "showAllSymbol": True,
                "emphasis": {"disabled": True},
                "lineStyle": {"color": "var(--anomaly)"},
                "itemStyle": {"color": "var(--anomaly)"},
            }
        ],
    }


def span_title(span: Span, wanted: Range) -> str:
    """Return what was detected in a span, in words."""
    return say(
        "{moment}: {images} images, {anomalies} anomalies",
        moment=_moment(span, wanted),
        images=number_text(span.images),
        anomalies=number_text(span.anomalies),
    )


def length_text(wanted: Range) -> str:
    """Return how long each span is, in words."""
    if wanted.span < DAY:
        hours = wanted.span // timedelta(hours=1)
        return say("the hour") if hours == 1 else say("{hours} hours", hours=hours)
    return say("the day") if wanted.span == DAY else say("the week")


def nice_ceiling(number: int) -> int:
    """Return the least of 2, 4, 10, 20, 40, 100 ... that is no less than a number."""
    scale = 1
    while True:
        for step in (2, 4, 10):
            if step * scale >= number:
                return step * scale
        scale *= 10


def _moments(spans: list[Span], wanted: Range) -> Mapping[str, Any]:
    return {
        **AXIS,
        "type": "category",
        "data": [_moment(span, wanted) for span in spans],
        "axisLabel": {"color": GREY, "hideOverlap": True},
    }


def _moment(span: Span, wanted: Range) -> str:
    return f"{span.begin:{wanted.format}}"
