"""The chart: drawn by ECharts, in the colours of the page, with tooltips and zoom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui.elements.echart import EChart

GREY, LINE, TEXT = "var(--quiet)", "var(--line)", "var(--text)"

AXIS: Mapping[str, Any] = {
    "nameLocation": "middle",
    "nameTextStyle": {"color": TEXT},
    "axisLabel": {"color": GREY},
    "axisLine": {"lineStyle": {"color": GREY}},
    "axisTick": {"lineStyle": {"color": GREY}},
    "splitLine": {"lineStyle": {"color": LINE}},
}
"""What all axes have in common."""

TOOLTIP: Mapping[str, Any] = {
    "backgroundColor": "var(--surface)",
    "borderColor": LINE,
    "textStyle": {"color": TEXT},
    "confine": True,
}


CROSS: Mapping[str, Any] = {
    "type": "cross",
    "label": {"backgroundColor": GREY, "color": "var(--page)", "precision": 0},
}
"""What follows the pointer."""


def chart(
    options: Mapping[str, Any],
    description: str,
    *,
    classes: str = "",
    picked: Callable[[int], None] | None = None,
) -> None:
    """Draw a chart.

    Args:
        options: of ECharts; colours are those of our style sheet, which only SVG understands.
        description: what the chart shows, for people who do not see it.
        classes: of the element; they give it its height.
        picked: called with the number of the point that the visitor clicks.
    """
    drawn = EChart({"animation": False, **options}, renderer="svg").classes(classes)
    drawn.props("role=img").props["aria-label"] = description
    if picked is not None:
        drawn.on_point_click(lambda event: picked(event.data_index))
