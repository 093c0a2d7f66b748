"""The unit files in deploy, as systemd reads them."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = {"blemish": "blemish", "blemish-edge": "blemish-edge", "blemish-station": "blemish-edge"}
"""Units, and the folders of their programs."""
MOST_EXPOSURE = 2.0
"""Of 10, as systemd-analyze counts it; a service without any protection has 9.6."""


@pytest.fixture(params=UNITS)
def name(request: pytest.FixtureRequest) -> str:
    """The name of a unit."""
    return str(request.param)


def path_of(name: str) -> Path:
    return ROOT / "deploy" / f"{name}.service"


@pytest.fixture
def unit(name: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(path_of(name))
    return parser


@pytest.fixture
def installed(tmp_path: Path, name: str) -> Path:
    """The unit with a program that is there, which systemd wants to see."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    path = tmp_path / path_of(name).name
    path.write_text(
        path_of(name).read_text().replace(f"/opt/{UNITS[name]}/bin/blemish", "/bin/true")
    )
    return path


def test_systemd_finds_nothing_wrong_with_it(installed: Path) -> None:
    command = ["systemd-analyze", "verify", "--recursive-errors=no", str(installed)]

    found = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (found.returncode, found.stderr) == (0, "")


def test_it_shuts_the_server_in(installed: Path) -> None:
    threshold = f"--threshold={MOST_EXPOSURE * 10:.0f}"
    command = ["systemd-analyze", "security", "--offline=true", threshold, str(installed)]

    found = subprocess.run(command, capture_output=True, text=True, check=False)

    assert found.returncode == 0, found.stdout


def test_it_comes_up_again_for_as_long_as_it_takes(unit: configparser.RawConfigParser) -> None:
    assert unit["Service"]["Restart"] == "always"
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_the_server_waits_for_the_clock() -> None:
    assert "time-sync.target" in path_of("blemish").read_text()


def test_it_comes_with_the_package() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]

    shared = build["targets"]["wheel"]["shared-data"]

    names = [*(f"{unit}.service" for unit in UNITS), "station.toml"]
    assert shared == {f"deploy/{name}": f"share/blemish/{name}" for name in names}
    assert "/deploy" in build["targets"]["sdist"]["include"]
