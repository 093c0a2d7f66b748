"""A station with sinks of every kind, which is killed while its receivers come and go."""

from __future__ import annotations

import csv
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from blemish.engine.bundle import read_bundle
from tests.acceptance.station_receivers import (
    MOSQUITTO,
    Broker,
    Controller,
    subscribed,
    wait_until,
)
from tests.edge_agents import component_zip
from tests.edge_bundles import SEGMENTATION
from tests.station_trials import COMPONENT, StationProcess, StationTrial

pytestmark = [pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(600)]

IMAGES, RATE_PER_S = 200, 30
KILL_EVERY_S, KILLS = 0.9, 8
SINKS = """
[records]
images = ["all"]
[[sink]]
type = "csv"
name = "table"
path = "{folder}/verdicts.csv"
[[sink]]
type = "folders"
name = "sorted"
directory = "{folder}/sorted"
[[sink]]
type = "mqtt"
name = "hall"
host = "127.0.0.1"
port = {broker}
topic = "plates"
username = "line"
password_env = "PASSWORD"
[[sink]]
type = "modbus"
name = "ejector"
host = "127.0.0.1"
port = {controller}
coil = 3
"""


def table(file: Path) -> list[dict[str, str]]:
    if not file.exists():
        return []
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def ids(verdicts: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Return the ids by the name of the image."""
    found: dict[str, set[str]] = {}
    for verdict in verdicts:
        found.setdefault(verdict["image_name"], set()).add(verdict["id"])
    return found


def test_every_sink_gets_every_verdict(
    tmp_path: Path, edge_bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if MOSQUITTO is None or shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    monkeypatch.setenv("PASSWORD", "p-123")
    tmp_path.chmod(0o755)
    archive = tmp_path / "plates.zip"
    archive.write_bytes(component_zip(read_bundle(edge_bundles / SEGMENTATION), name=COMPONENT))
    trial = StationTrial(
        folder=tmp_path, archive=archive, images=IMAGES, rate_per_s=RATE_PER_S, kills=KILLS
    )
    broker = Broker(tmp_path, "user root", "persistence true", f"persistence_location {tmp_path}/")
    broker.start()
    controller = Controller()
    controller.start()
    ports = {"broker": broker.port, "controller": controller.port}
    config = trial._prepare(1) + SINKS.format(folder=tmp_path, **ports)
    config = config.replace('type = "webhook"', 'type = "json-lines"').replace(
        'url = "http://127.0.0.1:1/verdicts"', f'path = "{tmp_path}/second.jsonl"'
    )
    station = StationProcess(folder=tmp_path, config=config)
    station.start()
    feeding = threading.Thread(target=trial._feed)
    try:
        with subscribed(broker.port, "plates") as messages:
            feeding.start()
            for _ in range(KILLS):
                time.sleep(KILL_EVERY_S)
                station.end(signal.SIGKILL)
                broker.end(signal.SIGTERM)
                station.start()
                time.sleep(0.5)
                broker.start()
            feeding.join()
            wait_until(lambda: len(ids(list(messages))) == IMAGES)
        wait_until(lambda: len(ids(table(tmp_path / "verdicts.csv"))) == IMAGES)
        wait_until(lambda: len(list((tmp_path / "sorted").glob("*/*.png"))) >= IMAGES)
        assert station.end() == 0, station.log.read_text()
    finally:
        station.end(signal.SIGKILL)
        broker.end()
        controller.end()

    by_table = ids(table(tmp_path / "verdicts.csv"))
    assert sorted(by_table) == trial.names()
    assert all(len(entry) == 1 for entry in by_table.values())
    assert ids(messages) == by_table
    stored = {path.stem.partition("-")[2] for path in (tmp_path / "sorted").glob("*/*.png")}
    assert stored == {next(iter(entry)) for entry in by_table.values()}
    assert len(list((tmp_path / "sorted").glob("*/.*"))) == 0
    assert controller.requests
