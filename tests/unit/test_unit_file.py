"""deploy/blemish.service, as systemd reads it."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "blemish.service"
MOST_EXPOSURE = 2.0
"""Of 10, as systemd-analyze counts it; a service without any protection has 9.6."""


@pytest.fixture
def unit() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT)
    return parser


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit with a program that is there, which systemd wants to see."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/blemish/bin/blemish", "/bin/true"))
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
    assert "time-sync.target" in unit["Unit"]["After"]


def test_it_comes_with_the_package() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]

    shared = build["targets"]["wheel"]["shared-data"]

    assert shared == {"deploy/blemish.service": "share/blemish/blemish.service"}
    assert "deploy" in build["targets"]["sdist"]["include"]
