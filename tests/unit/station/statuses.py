"""States of a station for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from blemish.station.status import SinkStatus, SourceStatus, StationStatus
from tests.unit.station.verdicts import verdict


def station_status(**changes: Any) -> StationStatus:
    """Return the state of a station with a source and two sinks, one of them away."""
    members: dict[str, Any] = {
        "started_at": datetime(2026, 1, 2, tzinfo=UTC),
        "component": "plates",
        "component_version": "1.0.0",
        "detections": 12_345,
        "anomalous": 67,
        "rate_per_s": 2.5,
        "latency_s": 0.042,
        "last": tuple(
            verdict(number, is_anomalous=number % 7 == 0, score=number / 16)
            for number in range(20, 0, -1)
        ),
        "sources": (
            SourceStatus(
                name="camera", is_connected=True, message="", detections=12_345, dropped=3, failed=0
            ),
        ),
        "sinks": (
            SinkStatus(
                name="hall", is_connected=True, message="", delivered=12_345, waiting=0, dropped=0
            ),
            SinkStatus(
                name="ejector",
                is_connected=False,
                message="The controller 192.168.10.20:502 cannot be connected to.",
                delivered=12_300,
                waiting=45,
                dropped=0,
            ),
        ),
    }
    return StationStatus(**members | changes)
