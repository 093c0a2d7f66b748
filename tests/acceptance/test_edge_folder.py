"""`make edge`: the agent with all that it needs, in one small folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from blemish.engine.bundle import read_bundle
from tests.acceptance.registry import ROOT, require_registry, run
from tests.edge_agents import component_zip
from tests.edge_bundles import SEGMENTATION
from tests.products import draw, png

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.registry,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

MOST_BYTES = 150_000_000


def test_the_folder_is_small_and_judges_images(tmp_path: Path, edge_bundles: Path) -> None:
    require_registry()
    folder = tmp_path / "blemish-edge"
    run("make", "-o", "setup", "edge", f"EDGE={folder}", f"VENV={sys.prefix}", folder=ROOT)
    archive, image = tmp_path / "plates.zip", tmp_path / "image.png"
    archive.write_bytes(component_zip(read_bundle(edge_bundles / SEGMENTATION), name="plates"))
    image.write_bytes(png(draw(2_001, "stain").pixels))

    def edge(*arguments: str) -> str:
        return subprocess.run(
            [folder / "bin" / "blemish", "edge", *arguments, "--components", tmp_path / "c"],
            env={"PATH": os.environ["PATH"], "PYTHON": sys.executable},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    edge("install", str(archive))
    assert '"is_anomalous": true' in edge("detect", str(image))
    assert '"is_anomalous": true' in station_verdict(folder, tmp_path)
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size_bytes < MOST_BYTES


def station_verdict(folder: Path, home: Path) -> str:
    """Run a station of the folder, which has no extras, until it has judged an image."""
    config, verdicts = home / "station.toml", home / "verdicts.jsonl"
    config.write_text(f"""
        directory = "{home}/station"
        [[source]]
        type = "folder"
        name = "line-1"
        when_busy = "never-drop"
        path = "{home}"
        [model]
        component = "plates"
        components = "{home}/c"
        [[sink]]
        type = "json-lines"
        name = "verdicts"
        path = "{verdicts}"
    """)
    with subprocess.Popen(
        [folder / "bin" / "blemish", "station", "run", "--config", config],
        env={"PATH": os.environ["PATH"], "PYTHON": sys.executable},
    ) as station:
        deadline = time.monotonic() + 60
        while not (verdicts.exists() and verdicts.read_text().endswith("\n")):
            assert station.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        station.terminate()
        assert station.wait(30) == 0
    return verdicts.read_text()


def test_every_wheel_is_there_for_arm64(tmp_path: Path) -> None:
    require_registry()
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in range(17, 35)]

    run(
        *(sys.executable, "-m", "pip", "download", "--require-hashes", "--no-deps", "--quiet"),
        *("--only-binary=:all:", "--python-version=3.11", "--platform=manylinux2014_aarch64"),
        *(*platforms, "--dest", str(tmp_path), "-r", str(ROOT / "requirements-edge.lock")),
    )

    names = {path.name.partition("-")[0] for path in tmp_path.iterdir()}
    assert {"grpcio", "numpy", "obstore", "onnxruntime", "pillow", "protobuf"} <= names
