"""The types of sources. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from blemish.station.config import SourceConfig, WhenBusy
from blemish.station.config_table import ConfigTable
from blemish.station.errors import ConfigError
from blemish.station.sources.folder import build_folder_source
from blemish.station.sources.genicam import build_genicam_camera
from blemish.station.sources.mqtt_images import build_mqtt_images
from blemish.station.sources.posted import build_posted_images
from blemish.station.sources.source import Source
from blemish.station.sources.streams import build_stream_camera
from blemish.station.sources.video import build_video_file

SourceBuilder = Callable[[str, ConfigTable, WhenBusy], Source]
"""Takes the source's name, its settings and what it does when busy, and opens nothing."""

SOURCE_TYPES: Mapping[str, SourceBuilder] = {
    "camera": build_stream_camera,
    "folder": build_folder_source,
    "genicam": build_genicam_camera,
    "http": build_posted_images,
    "mqtt": build_mqtt_images,
    "video": build_video_file,
}


def build_source(
    config: SourceConfig, builders: Mapping[str, SourceBuilder] = SOURCE_TYPES
) -> Source:
    """Build a source from its configuration.

    Raises:
        ConfigError: its type or a setting is unknown, missing or wrong.
    """
    builder = builders.get(config.type)
    if builder is None:
        raise ConfigError(
            f"{config.table.name} has the type {config.type!r}; "
            f"there are {', '.join(sorted(builders))}."
        )
    source = builder(config.name, config.table, config.when_busy)
    config.table.finish()
    return source
