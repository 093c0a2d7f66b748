"""The configuration of a line: a TOML file, as that of a station.

[model]                 # the hosted model of this server that judges
project = "plates"
version = "1"

[shadow]                # a second model that judges silently; it may be left out
project = "plates"
version = "2"

[line]                  # when shifts begin; it may be left out
shifts = ["06:00", "14:00", "22:00"]
time_zone = "Europe/Berlin"

[[source]]              # these tables are those of a station
[[sink]]
[records]
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from blemish.line.line_model import LineModel
from blemish.line.pushed_images import build_pushed_images
from blemish.line.shifts import shift_times
from blemish.station.build import build_connections
from blemish.station.config import StationConfig, parse_station_config
from blemish.station.config_table import ConfigTable
from blemish.station.errors import ConfigError
from blemish.station.sources.registry import SOURCE_TYPES, SourceBuilder

SECRETS = "LINE_"
"""What the names of environment variables begin with that a line may read."""

SHIFTS = ("06:00", "14:00", "22:00")
BROWSER = "browser"
"""The type of a source that gets its images from a page of the console."""

LINE_SOURCE_TYPES: Mapping[str, SourceBuilder] = {**SOURCE_TYPES, BROWSER: build_pushed_images}

_MODEL_TABLE = re.compile(r"^\[(?:model|shadow)\](?=\s*(?:#.*)?$)", re.MULTILINE)

_ELSEWHERE = {
    "directory": "The server has a folder for each line.",
    "page": "The page of a line is in the console.",
    "sync": "The images are in the server already.",
}


@dataclass(frozen=True, kw_only=True)
class LineConfig:
    """The settings of a line."""

    project: str
    version: str
    #: judges silently; None without one
    shadow: LineModel | None
    #: when shifts begin, in order
    shifts: tuple[time, ...]
    #: None for that of the server
    time_zone: ZoneInfo | None
    station: StationConfig

    def browser_sources(self) -> tuple[str, ...]:
        """Return the names of the sources that pages of the console send images to."""
        return tuple(source.name for source in self.station.sources if source.type == BROWSER)


def parse_line_config(
    text: str, *, directory: Path, environment: Mapping[str, str] = os.environ
) -> LineConfig:
    """Read the configuration of a line.

    Args:
        text: of the TOML file.
        directory: of the records and the stored images.
        environment: has the secrets that `..._env` settings name.

    Raises:
        ConfigError: a setting is unknown, missing or wrong.
    """
    try:
        document = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"The settings are no TOML: {error}.") from None
    for name, reason in _ELSEWHERE.items():
        if name in document:
            raise ConfigError(f"A line has no setting {name!r}. {reason}")
    _check_secrets(document)
    model = _line_model(_table(document.pop("model", {}), "[model]"))
    shadow = None
    if "shadow" in document:
        shadow = _line_model(_table(document.pop("shadow"), "[shadow]"))
    if shadow == model:
        raise ConfigError(f"[shadow] names {model}, as [model] does. Name another model.")
    line = _table(document.pop("line", {}), "[line]")
    shifts = _shifts(line)
    time_zone = _time_zone(line)
    line.finish()
    document |= {"directory": str(directory), "model": {"component": model.project}}
    station = parse_station_config(document, environment=environment)
    return LineConfig(
        project=model.project,
        version=model.version,
        shadow=shadow,
        shifts=shifts,
        time_zone=time_zone,
        station=station,
    )


def exchange_models(text: str, *, directory: Path) -> str:
    """Return the settings with the two models exchanged; the rest of the text stays as it is.

    Raises:
        ConfigError: there is no second model, or the text is not plain enough to change.
    """
    before = parse_line_config(text, directory=directory)
    if before.shadow is None:
        raise ConfigError("The line has no second model. Add a table [shadow].")
    names = {"[model]": "[shadow]", "[shadow]": "[model]"}
    exchanged = _MODEL_TABLE.sub(lambda match: names[match[0]], text)
    problem = ConfigError("Write [model] and [shadow] as tables of their own to exchange them.")
    try:
        after = parse_line_config(exchanged, directory=directory)
    except ConfigError:
        raise problem from None
    if LineModel(project=after.project, version=after.version) != before.shadow:
        raise problem
    return exchanged


def check_line_config(text: str, *, directory: Path) -> LineConfig:
    """Read a configuration, and check also what sources and sinks read themselves.

    Raises:
        ConfigError: a setting is unknown, missing or wrong, or a library is missing.
    """
    config = parse_line_config(text, directory=directory)
    build_connections(config.station, source_types=LINE_SOURCE_TYPES)
    return config


def _table(values: Any, name: str) -> ConfigTable:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{name[1:-1]} must be a table: {name}.")
    return ConfigTable(values, name=name)


def _line_model(table: ConfigTable) -> LineModel:
    model = LineModel(project=table.text("project"), version=table.text("version"))
    table.finish()
    return model


def _shifts(table: ConfigTable) -> tuple[time, ...]:
    texts = table.texts("shifts", SHIFTS)
    try:
        shifts = shift_times(texts)
    except ValueError:
        shifts = ()
    if not shifts or any(shift.tzinfo for shift in shifts):
        raise table.wrong("shifts", 'a list of times of the day, like ["06:00", "14:00"]')
    return shifts


def _time_zone(table: ConfigTable) -> ZoneInfo | None:
    name = table.optional_text("time_zone")
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise table.wrong("time_zone", 'the name of a time zone, like "Europe/Berlin"') from None


def _check_secrets(values: Any) -> None:
    """Refuse secrets of the server itself, which a sink could send anywhere.

    Raises:
        ConfigError: a setting names one.
    """
    entries = values if isinstance(values, list) else []
    if isinstance(values, Mapping):
        for key, value in values.items():
            if key.endswith("_env") and isinstance(value, str) and not value.startswith(SECRETS):
                raise ConfigError(
                    f"{key} is {value!r}; a line reads only environment variables whose names "
                    f"begin with {SECRETS}, like {SECRETS}{value.upper():.40}."
                )
        entries = list(values.values())
    for entry in entries:
        _check_secrets(entry)
