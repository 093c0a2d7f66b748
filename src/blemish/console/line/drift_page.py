"""The page of drift: measures of a line by hour beside the normal images of the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from nicegui import ui

from blemish.console.language.messages import later, say, say_all
from blemish.console.language.numbers import significant_text
from blemish.console.line.line_access import line_path, visible_line
from blemish.console.line.reported import reported_text
from blemish.console.ui.frame import empty, frame, heading, labelled, link, page, text, visitor
from blemish.console.ui.moment import moment
from blemish.console.ui.pill import pill
from blemish.console.ui.table import table
from blemish.console.visitor import in_thread
from blemish.engine.normal_images import MeasuredRange
from blemish.line.line import Line
from blemish.station.drift.alarms import Alarm
from blemish.station.drift.drift_records import ANOMALOUS, MeasuredHour
from blemish.station.drift.shares import ShareBand

DAYS = 7
ALARMS = 50

MEASURES: Mapping[str, str] = {
    ANOMALOUS: later("Share of anomalies"),
    "score": later("Score"),
    "brightness": later("Brightness"),
    "sharpness": later("Sharpness"),
    "shift_x": later("Shift to the right"),
    "shift_y": later("Shift downwards"),
    "embedding_distance": later("Embedding distance"),
}


@page("/line/{name}/drift", title=later("Drift"))
async def show_drift(name: str) -> None:
    """Show alarms, and a chart of each measure."""
    looking = visitor()
    line = await visible_line(looking, name)
    since = looking.services.clock() - timedelta(days=DAYS)
    hours = await in_thread(lambda: line.drift.hours(since=since))
    alarms = await in_thread(lambda: line.drift.alarms(limit=ALARMS))
    with frame(say("Drift of {name}", name=name)):
        with ui.element("div").classes("head"):
            heading(say("Drift of {name}", name=name))
            ui.element("div").classes("room")
            link(say("Full screen"), line_path(name), classes="action")
            link(say("History"), line_path(name, "/history"), classes="action")
        _draw_alarms(alarms)
        if not hours:
            empty(
                say("No image in the last week"),
                say("Charts appear with the first images of the line."),
            )
            return
        for source in sorted({hour.source for hour in hours}):
            await _draw_source(line, source, [hour for hour in hours if hour.source == source])


def _draw_alarms(alarms: Sequence[Alarm]) -> None:
    with ui.element("section").classes("panel"):
        heading(say("Alarms"), 2)
        if not alarms:
            text(say("None yet."), classes="quiet", tag="p")
            return
        table(
            (say("Alarm"), say("Source"), say("From"), say("To"), ""),
            [
                (
                    partial(_alarm_pill, alarm),
                    alarm.source,
                    partial(moment, alarm.began_at),
                    say("lasts") if alarm.ended_at is None else partial(moment, alarm.ended_at),
                    reported_text(alarm.message),
                )
                for alarm in alarms
            ],
        )


def _alarm_pill(alarm: Alarm) -> None:
    pill(str(alarm.kind), "bad" if alarm.ended_at is None else "")


async def _draw_source(line: Line, source: str, hours: Sequence[MeasuredHour]) -> None:
    watch = await in_thread(line.drift.watch, source)
    band = watch.share.band(line.config.station.records.share_band if line.config else None)
    with ui.element("section").classes("panel"):
        heading(say("Source {source}", source=source), 2)
        if not watch.ranges:
            text(
                say(
                    "The model carries nothing about its normal images: it was trained by an "
                    "earlier version, or on fewer than 10. Train again to watch brightness, blur "
                    "and shift."
                ),
                classes="quiet",
                tag="p",
            )
        for name, title in say_all(MEASURES).items():
            entry = watch.ranges.get(name)
            if name == ANOMALOUS:
                entry = None if band is None else _range_of(band)
            points = [(hour, hour.means[name]) for hour in hours if name in hour.means]
            if points:
                _draw_chart(title, points, entry)


def _range_of(band: ShareBand) -> MeasuredRange:
    return MeasuredRange(low=band.low, middle=(band.low + band.high) / 2, high=band.high)


def _draw_chart(
    title: str, points: Sequence[tuple[MeasuredHour, float]], entry: MeasuredRange | None
) -> None:
    heading(title, 3)
    words = say(
        "{title}: {points} in the last hour", title=title, points=significant_text(points[-1][1], 3)
    )
    if entry is not None:
        words += say(
            "; normal is {low} to {high}",
            low=significant_text(entry.low, 3),
            high=significant_text(entry.high, 3),
        )
    text(f"{words}.", classes="quiet", tag="p")
    chart = ui.echart(chart_options(points, entry)).classes("drift-chart")
    labelled(chart.props("role=img"), say("{title} by hour", title=title)).style("height: 200px")


def chart_options(
    points: Sequence[tuple[MeasuredHour, float]], entry: MeasuredRange | None
) -> dict[str, Any]:
    """Return the options of ECharts for a measure by hour, with what is normal as a band."""
    series: dict[str, Any] = {
        "type": "line",
        "showSymbol": len(points) < 48,
        "data": [[hour.begin.isoformat(), round(value, 5)] for hour, value in points],
    }
    if entry is not None:
        series["markArea"] = {
            "silent": True,
            "itemStyle": {"color": "rgba(47, 191, 143, 0.18)"},
            "data": [[{"yAxis": entry.low}, {"yAxis": entry.high}]],
        }
    return {
        "animation": False,
        "grid": {"left": 56, "right": 16, "top": 16, "bottom": 28},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "time"},
        "yAxis": {"type": "value", "scale": True},
        "series": [series],
    }
