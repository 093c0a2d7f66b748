"""The metrics of a station, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator

from blemish.station.drift.alarms import AlarmKind
from blemish.station.status import StationStatus

METRICS_TYPE = "text/plain; version=0.0.4"


def metrics_text(status: StationStatus) -> str:
    """Return the metrics in the text format of Prometheus."""
    return "\n".join(_lines(status)) + "\n"


def _lines(status: StationStatus) -> Iterator[str]:
    yield "# HELP blemish_station_images_total Images that were judged, by source."
    yield "# TYPE blemish_station_images_total counter"
    for source in status.sources:
        yield f'blemish_station_images_total{{source="{source.name}"}} {source.detections}'
    yield "# HELP blemish_station_anomalous_total Images that are anomalous."
    yield "# TYPE blemish_station_anomalous_total counter"
    yield f"blemish_station_anomalous_total {status.anomalous}"
    yield "# HELP blemish_station_alarm Whether an alarm about drift lasts."
    yield "# TYPE blemish_station_alarm gauge"
    active = {(alarm.source, alarm.kind) for alarm in status.alarms}
    for source in status.sources:
        for kind in AlarmKind:
            labels = f'source="{source.name}",kind="{kind}"'
            yield f"blemish_station_alarm{{{labels}}} {int((source.name, kind) in active)}"
