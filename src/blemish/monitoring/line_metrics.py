"""Metrics of lines: which alarms about drift last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

LineAlarm = tuple[str, str, str, bool]
"""A line, a source of it, the kind of an alarm, and whether it lasts."""


class LineMetrics(Collector):
    """Reads the alarms of all lines that run for every scrape."""

    def __init__(self, alarms: Callable[[], Iterable[LineAlarm]]) -> None:
        self._alarms = alarms

    def describe(self) -> Iterator[Metric]:
        """Return nothing, so that registering reads nothing."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield one series for each kind of alarm and source; nothing without a line."""
        family = GaugeMetricFamily(
            "blemish_line_alarm",
            "Whether an alarm about drift lasts.",
            labels=("line", "source", "kind"),
        )
        for line, source, kind, lasts in self._alarms():
            family.add_metric([line, source, kind], float(lasts))
        if family.samples:
            yield family
