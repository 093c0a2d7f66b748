from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from blemish.monitoring.line_metrics import LineAlarm, LineMetrics


def text_of(*alarms: LineAlarm) -> str:
    registry = CollectorRegistry()
    registry.register(LineMetrics(lambda: alarms))
    return generate_latest(registry).decode()


def test_each_alarm_is_a_series_that_is_one_while_it_lasts() -> None:
    text = text_of(("hall", "camera", "dark", True), ("hall", "camera", "moved", False))

    assert 'blemish_line_alarm{kind="dark",line="hall",source="camera"} 1.0' in text
    assert 'blemish_line_alarm{kind="moved",line="hall",source="camera"} 0.0' in text


def test_a_server_without_lines_has_no_such_metric() -> None:
    assert text_of() == ""
