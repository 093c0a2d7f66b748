from __future__ import annotations

import pytest

from blemish.station.build import running_station
from blemish.station.config import parse_station_config
from blemish.station.errors import ConfigError


def test_two_sinks_with_one_file_are_refused() -> None:
    source = {"type": "folder", "name": "in", "when_busy": "never-drop", "path": "/srv/images"}
    lines = {"type": "json-lines", "name": "lines", "path": "/srv/out/verdicts"}
    table = {"type": "csv", "name": "table", "path": "/srv/out/../out/verdicts"}
    document = {"source": [source], "model": {"component": "plates"}, "sink": [lines, table]}
    config = parse_station_config(document, environment={})

    with (
        pytest.raises(ConfigError, match="lines and table both write /srv/out/verdicts"),
        running_station(config),
    ):
        pass


@pytest.mark.parametrize(
    "path", ["/srv/station/images", "/srv/sorted/ok", "/srv/in/../sorted/not-ok"]
)
def test_a_source_that_would_take_the_stations_own_images_is_refused(path: str) -> None:
    source = {"type": "folder", "name": "in", "when_busy": "never-drop", "path": path}
    sink = {"type": "folders", "name": "sorted", "directory": "/srv/sorted"}
    document = {
        "directory": "/srv/station",
        "source": [source],
        "model": {"component": "plates"},
        "sink": [sink],
    }
    config = parse_station_config(document, environment={})

    with (
        pytest.raises(ConfigError, match=r"in watches .*, where the station writes"),
        running_station(config),
    ):
        pass
