from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blemish.station.config import StationConfig, parse_station_config
from blemish.station.errors import StationError
from blemish.station.lock import locked_directory
from blemish.station.sync.command import sync_station

SYNC = {"endpoint": "http://server", "project": "plates", "bucket": "factory"}
KEY = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "secret"}


def config(directory: Path, **tables: Any) -> StationConfig:
    source = {"type": "folder", "name": "line-1", "when_busy": "never-drop"}
    least = {"directory": str(directory), "source": [source], "model": {"component": "plates"}}
    return parse_station_config(least | tables, environment={})


@pytest.mark.parametrize(
    ("tables", "environment", "message"),
    [
        ({}, KEY, r"no \[sync\]"),
        ({"sync": SYNC | {"endpoint": "server:8000"}}, KEY, "'server:8000'; it must begin"),
        ({"sync": SYNC | {"endpoint": "http://[server"}}, KEY, "it must begin"),
        ({"sync": SYNC | {"endpoint": "http://me:x@server"}}, KEY, "a user or a password. Take"),
        ({"sync": SYNC}, {}, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"),
        ({"sync": SYNC}, KEY | {"AWS_CA_BUNDLE": "/none.pem"}, r"/none\.pem cannot be read"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, tables: dict[str, Any], environment: dict[str, str], message: str
) -> None:
    with pytest.raises(StationError, match=message):
        sync_station(config(tmp_path, **tables), say=print, environment=environment)


def test_an_endpoint_that_is_nowhere_is_missed(tmp_path: Path) -> None:
    sync = {name: value for name, value in SYNC.items() if name != "endpoint"}

    with pytest.raises(StationError, match="AWS_ENDPOINT_URL is not set"):
        sync_station(config(tmp_path, sync=sync), say=print, environment=KEY)


def test_one_sync_at_a_time_runs(tmp_path: Path) -> None:
    with (
        locked_directory(tmp_path, work="sync"),
        pytest.raises(StationError, match="Another sync runs"),
    ):
        sync_station(config(tmp_path, sync=SYNC), say=print, environment=KEY)


def test_without_stored_images_nothing_is_asked(tmp_path: Path) -> None:
    assert sync_station(config(tmp_path, sync=SYNC), say=print, environment=KEY) == 0
