"""The page on the station, walked through, and the sample configuration."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from blemish.engine.bundle import read_bundle
from blemish.station.config import RecordsConfig, parse_station_config
from blemish.station.sinks.registry import SINK_TYPES, build_sink
from blemish.station.sources.registry import SOURCE_TYPES, build_source
from tests.acceptance.test_readme import fenced
from tests.edge_agents import COMMAND as EDGE
from tests.edge_agents import component_zip
from tests.edge_bundles import SEGMENTATION
from tests.products import draw, png
from tests.station_trials import COMMAND, COMPONENT

pytestmark = pytest.mark.acceptance

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guide" / "station.md").read_text()
SECRETS = {"MQTT_PASSWORD": "m", "CAMERA_PASSWORD": "c"}
PATIENCE_S = 120


def test_the_guide_leads_from_a_component_to_a_verdict(tmp_path: Path, edge_bundles: Path) -> None:
    config = next(block for block in fenced(GUIDE, "toml") if "directory" in block)
    commands, looks, *_ = fenced(GUIDE, "sh")
    for path in ("/var/lib/blemish-station", "/srv"):
        (tmp_path / path.strip("/")).mkdir(parents=True, exist_ok=True)
        config = config.replace(path, f"{tmp_path}{path}")
        looks = looks.replace(path, f"{tmp_path}{path}")
    (tmp_path / "srv" / "images").mkdir()
    config = config.replace("[model]\n", f'[model]\ncomponents = "{tmp_path}/components"\n')
    (tmp_path / "station.toml").write_text(config)
    data = component_zip(read_bundle(edge_bundles / SEGMENTATION), name=COMPONENT)
    (tmp_path / "plates-1.0.0.zip").write_bytes(data)
    (tmp_path / "image.png").write_bytes(png(draw(2_001, "stain").pixels))
    install, run = commands.splitlines()
    copy, tail = looks.splitlines()
    assert run == "blemish station run --config station.toml"

    subprocess.run(
        [*EDGE, *install.split()[2:], "--components", str(tmp_path / "components")],
        cwd=tmp_path,
        check=True,
    )
    with subprocess.Popen([*COMMAND, "station.toml"], cwd=tmp_path) as station:
        try:
            subprocess.run(shlex.split(copy), cwd=tmp_path, check=True)
            verdict = None
            deadline = time.monotonic() + PATIENCE_S
            while not verdict and time.monotonic() < deadline:
                ended = subprocess.run(
                    shlex.split(tail), capture_output=True, text=True, check=False
                )
                verdict = ended.stdout
            station.send_signal(signal.SIGTERM)
            assert station.wait(PATIENCE_S) == 0
        finally:
            station.kill()

    assert verdict
    document = json.loads(verdict)
    assert (document["image_name"], document["is_anomalous"]) == ("image.png", True)
    assert [area["name"] for area in document["anomalies"]] == ["stain"]
    assert Path(document["image_path"]).read_bytes() == (tmp_path / "image.png").read_bytes()


def configured(*documents: str) -> set[str]:
    """Build everything that a configuration names; return the settings that it may have."""
    text = "\n".join(documents)
    config = parse_station_config(tomllib.loads(text), environment=SECRETS)
    for source in config.sources:
        build_source(source)
    for sink in config.sinks:
        build_sink(sink)
    tables = [source.table for source in config.sources] + [sink.table for sink in config.sinks]
    return {setting for table in tables for setting in table._known}


def test_every_configuration_in_the_guide_is_accepted() -> None:
    settings = configured(*fenced(GUIDE, "toml"))

    # image_budget_mb, retention_days, and [drift]
    of_other_tables = {"image_budget_bytes", "retention", "share_band"}
    records = {field.name for field in fields(RecordsConfig)} - of_other_tables
    for name in settings | records:
        assert f"`{name}`" in GUIDE


def test_the_sample_is_accepted_also_with_what_is_off() -> None:
    sample = (ROOT / "deploy" / "station.toml").read_text()
    lines = sample.splitlines()
    settings = [
        line.removeprefix("# ")
        for line in lines
        if not line.startswith("# ") or line.startswith("# [") or " = " in line
    ]

    configured(sample)
    configured("\n".join(line for line in settings if line != "#"))


def test_the_guide_has_every_type() -> None:
    for name in (*SOURCE_TYPES, *SINK_TYPES):
        assert f"| `{name}`" in GUIDE or f"`{name}`, " in GUIDE or f", `{name}` |" in GUIDE


def test_the_command_for_devices_has_station_and_edge() -> None:
    helps = [
        subprocess.run(
            [sys.executable, "-m", "blemish.station.commands", *arguments, "--help"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for arguments in ((), ("station",), ("edge",))
    ]

    assert "station" in helps[0]
    assert "edge" in helps[0]
    assert "run" in helps[1]
    assert "agent" in helps[2]
