"""Detections over time: counts put together into spans, and drawn as bars and a line.

The drawing is plain elements of the page, since a library for charts weighs more than the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from blemish.console.language.messages import later, say
from blemish.console.language.numbers import number_text
from blemish.domain.entities import DetectionCount

DAY = timedelta(days=1)
CEILINGS = (0.02, 0.1, 0.2, 0.5, 1.0)
"""The tops of the scale of shares, which are small on a good line."""

LABELS = 7
"""About how many moments are written below a chart."""


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


def bars(spans: list[Span], wanted: Range, *, address: Callable[[Span], str] | None = None) -> str:
    """Draw images as bars, with anomalies as the lower part of each.

    Args:
        spans: numbers alone go in.
        wanted: the time.
        address: returns what a bar opens, as a part of HTML; None for bars that open nothing.
    """
    most = nice_ceiling(max(span.images for span in spans))
    half = f"{most // 2:,}"
    drawn = "".join(_bar(span, wanted, most, address) for span in spans)
    description = say("Images processed and anomalies found, by {length}", length=_length(wanted))
    return (
        f'<div class="chart" role="{"group" if address else "img"}" aria-label="{description}">'
        f"{_scale(f'{most:,}', half)}"
        f'<div class="plot bars">{drawn}</div></div>{_moments(spans, wanted)}'
    )


def ratio_line(spans: list[Span], wanted: Range) -> str:
    """Draw the share of anomalies as a line with gaps where there were no detections."""
    width = len(spans)
    highest = max((span.ratio or 0.0 for span in spans), default=0.0)
    top = next(ceiling for ceiling in CEILINGS if ceiling >= highest)
    path, dots, pen_down = [], [], False
    for index, span in enumerate(spans):
        if span.ratio is None:
            pen_down = False
            continue
        at, height = index + 0.5, 100 - 100 * span.ratio / top
        path.append(f"{'L' if pen_down else 'M'}{at} {height:.2f}")
        dots.append(
            f'<i class="dot" style="left:{100 * at / width:.2f}%;top:{height:.2f}%" '
            f'title="{_moment(span, wanted)}: {span.ratio:.1%}"></i>'
        )
        pen_down = True
    scale = _scale(f"{top:.0%}", f"{top / 2:.0%}")
    description = say("Share of anomalies, by {length}", length=_length(wanted))
    return (
        f'<div class="chart" role="img" aria-label="{description}">{scale}'
        f'<div class="plot"><svg viewBox="0 0 {width} 100" preserveAspectRatio="none" '
        f'aria-hidden="true"><path d="{" ".join(path) or "M0 0"}" fill="none" '
        f'vector-effect="non-scaling-stroke"/></svg>{"".join(dots)}</div></div>'
        f"{_moments(spans, wanted)}"
    )


def nice_ceiling(number: int) -> int:
    """Return the least of 2, 4, 10, 20, 40, 100 ... that is no less than a number."""
    scale = 1
    while True:
        for step in (2, 4, 10):
            if step * scale >= number:
                return step * scale
        scale *= 10


def _bar(span: Span, wanted: Range, most: int, address: Callable[[Span], str] | None) -> str:
    title = say(
        "{moment}: {images} images, {anomalies} anomalies",
        moment=_moment(span, wanted),
        images=number_text(span.images),
        anomalies=number_text(span.anomalies),
    )
    normal = 100 * (span.images - span.anomalies) / most
    anomalous = 100 * span.anomalies / most
    parts = (
        f'<i class="rest" style="height:{normal:.2f}%"></i>'
        f'<i class="found" style="height:{anomalous:.2f}%"></i>'
    )
    if address is None or not span.images:
        return f'<div class="bar-place" title="{title}">{parts}</div>'
    return (
        f'<a class="bar-place" href="{address(span)}" title="{title}" aria-label="{title}">'
        f"{parts}</a>"
    )


def _scale(most: str, half: str) -> str:
    return f'<div class="scale"><span>{most}</span><span>{half}</span><span>0</span></div>'


def _moments(spans: list[Span], wanted: Range) -> str:
    every = -(-len(spans) // LABELS)
    moments = "".join(
        f'<span style="left:{100 * index / len(spans):.2f}%">{_moment(spans[index], wanted)}</span>'
        for index in range(0, len(spans), every)
    )
    return f'<div class="moments" aria-hidden="true">{moments}</div>'


def _moment(span: Span, wanted: Range) -> str:
    return f"{span.begin:{wanted.format}}"


def _length(wanted: Range) -> str:
    if wanted.span < DAY:
        hours = wanted.span // timedelta(hours=1)
        return say("the hour") if hours == 1 else say("{hours} hours", hours=hours)
    return say("the day") if wanted.span == DAY else say("the week")
