from __future__ import annotations

from typing import Any

import pytest

from blemish.station.config import parse_station_config
from blemish.station.errors import ConfigError
from blemish.station.sinks.registry import SINK_TYPES, build_sink
from blemish.station.sinks.sink import Sink

SETTINGS: dict[str, dict[str, Any]] = {
    "csv": {"path": "/var/log/verdicts.csv", "daily": True},
    "folders": {"directory": "/srv/sorted"},
    "json-lines": {"path": "/var/log/verdicts.jsonl"},
    "modbus": {"host": "plc", "coil": 3, "pulse_ms": 200, "score_register": 7, "max_age_s": 2.5},
    "mqtt": {
        "host": "broker",
        "topic": "plates",
        "tls": True,
        "ca_file": "/etc/ca.pem",
        "username": "line",
        "password_env": "PASSWORD",
    },
    "webhook": {"url": "https://mes.example/verdicts", "token_env": "TOKEN", "timeout_s": 2},
}
"""Every setting of every type."""


def build(sink_type: str, **settings: Any) -> Sink:
    document = {
        "source": [{"type": "folder", "name": "in", "when_busy": "never-drop"}],
        "model": {"component": "plates"},
        "sink": [{"type": sink_type, "name": "out"} | settings],
    }
    environment = {"PASSWORD": "secret", "TOKEN": "secret"}
    return build_sink(parse_station_config(document, environment=environment).sinks[0])


@pytest.mark.parametrize("sink_type", SINK_TYPES)
def test_every_type_is_built_of_its_settings(sink_type: str) -> None:
    sink = build(sink_type, **SETTINGS[sink_type])

    assert sink.name == "out"
    sink.close()


@pytest.mark.parametrize(
    ("sink_type", "settings", "message"),
    [
        ("mqtt", {"topic": "plates/#"}, "topic = 'plates/#'"),
        ("mqtt", {"tls": False}, "ca_file"),
        ("mqtt", {"username": None}, "username"),
        ("mqtt", {"password_env": "ABSENT"}, "ABSENT, which is not set"),
        ("webhook", {"url": "ftp://mes.example"}, "url = 'ftp://mes.example'"),
        ("webhook", {"url": "https://line:secret@mes.example"}, "without a password"),
        ("webhook", {"url": "http://[mes"}, "http://... or https://..."),
        ("webhook", {"url": "http://mes.example:99999/"}, "http://... or https://..."),
        ("webhook", {"url": "http://mes.example/line 1"}, "with %20 for a space"),
        ("modbus", {"coil": None, "score_register": None}, "coil"),
        ("modbus", {"coil": 70_000}, "coil = 70000"),
        ("csv", {"path": "verdicts.csv"}, "an absolute path"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(
    sink_type: str, settings: dict[str, Any], message: str
) -> None:
    changed = SETTINGS[sink_type] | settings

    with pytest.raises(ConfigError) as raised:
        build(sink_type, **{key: value for key, value in changed.items() if value is not None})

    assert message in str(raised.value)


@pytest.mark.parametrize("user", ["line:secret", ":secret", "secret"])
def test_the_message_about_an_address_with_a_password_does_not_repeat_it(user: str) -> None:
    with pytest.raises(ConfigError) as raised:
        build("webhook", url=f"https://{user}@mes.example/verdicts")

    assert "secret" not in str(raised.value)
