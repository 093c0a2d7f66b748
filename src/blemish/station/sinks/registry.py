"""The types of sinks. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from blemish.station.config import SinkConfig
from blemish.station.config_table import ConfigTable
from blemish.station.errors import ConfigError
from blemish.station.sinks.files import build_csv_sink, build_json_lines_sink
from blemish.station.sinks.folders import build_folder_sink
from blemish.station.sinks.modbus import build_modbus_sink
from blemish.station.sinks.mqtt import build_mqtt_sink
from blemish.station.sinks.sink import Sink
from blemish.station.sinks.webhook import build_webhook_sink

SinkBuilder = Callable[[str, ConfigTable], Sink]
"""Takes the sink's name and its settings. It reads every setting that it knows from the table, and
connects to nothing; libraries that only some stations need are imported with the first delivery."""

SINK_TYPES: Mapping[str, SinkBuilder] = {
    "csv": build_csv_sink,
    "folders": build_folder_sink,
    "json-lines": build_json_lines_sink,
    "modbus": build_modbus_sink,
    "mqtt": build_mqtt_sink,
    "webhook": build_webhook_sink,
}


def build_sink(config: SinkConfig, builders: Mapping[str, SinkBuilder] = SINK_TYPES) -> Sink:
    """Build a sink from its configuration.

    Raises:
        ConfigError: its type or a setting is unknown, missing or wrong.
    """
    builder = builders.get(config.type)
    if builder is None:
        raise ConfigError(
            f"{config.table.name} has the type {config.type!r}; "
            f"there are {', '.join(sorted(builders))}."
        )
    sink = builder(config.name, config.table)
    config.table.finish()
    return sink
