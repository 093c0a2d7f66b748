"""`make wheelhouse`: what it writes, and that it is enough where there is no network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from tests.acceptance.registry import ROOT, empty_environment, require_registry, run

pytestmark = [pytest.mark.acceptance, pytest.mark.registry, pytest.mark.timeout(900)]

SESSION = Path(__file__).with_name("offline_session.py")


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that `make wheelhouse` writes."""
    require_registry()
    folder = tmp_path_factory.mktemp("wheels") / "wheelhouse"
    # -o: the environment that runs this test is left as it is.
    run("make", "-o", "setup", "wheelhouse", f"WHEELS={folder}", f"VENV={sys.prefix}", folder=ROOT)
    yield folder
    shutil.rmtree(folder)


@cache
def without_network() -> tuple[str, ...]:
    """Return a command that runs another in a network namespace of its own; empty if none may."""
    if not shutil.which("unshare"):
        return ()
    for command in (("unshare", "--net"), ("unshare", "--map-root-user", "--net")):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return ()


@pytest.fixture(scope="module")
def installed(wheelhouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The interpreter of a fresh environment with Blemish from the wheelhouse alone."""
    folder = tmp_path_factory.mktemp("offline") / "venv"
    python = empty_environment(folder)
    pip = (*without_network(), str(python), "-m", "pip")
    others = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    run(
        *(*pip, "install", "--no-compile", "--no-index", f"--find-links={wheelhouse}", "blemish"),
        environment=others | {"PIP_CONFIG_FILE": os.devnull},
    )
    yield python
    shutil.rmtree(folder)


def locked() -> dict[str, str]:
    """Return name and version of what requirements.lock names for this machine."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [Requirement(line.rstrip("\\")) for line in lines if re.match(r"\w", line)]
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


def test_it_holds_what_is_locked_and_blemish(wheelhouse: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    wheels = [parse_wheel_filename(wheel.name)[:2] for wheel in wheelhouse.iterdir()]

    assert {str(name): str(version) for name, version in wheels} == locked() | {
        "blemish": project["version"]
    }


def test_the_wheel_of_blemish_holds_every_file_of_the_package(wheelhouse: Path) -> None:
    source = ROOT / "src"
    files = {
        str(path.relative_to(source))
        for path in (source / "blemish").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }

    (wheel,) = wheelhouse.glob("blemish-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if not name.startswith("blemish-")}

    assert packed == files
    assert "blemish/api/service-2.json" in packed
    assert any(re.match(r"blemish/storage/migrations/versions/0001", name) for name in packed)


def test_its_versions_are_what_gets_installed(installed: Path) -> None:
    listed = run(installed, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check")

    found = dict(line.split("==") for line in listed.split())
    runtime = {canonicalize_name(name): version for name, version in found.items()}
    for name in ("blemish", "pip", "setuptools"):
        runtime.pop(canonicalize_name(name), None)
    assert runtime.items() <= locked().items()
    assert {"boto3", "numpy", "onnxruntime"} <= runtime.keys()


def test_the_command_tells_what_it_can_do(installed: Path) -> None:
    told = run(installed.with_name("blemish"), "--help")

    assert {"serve", "demo", "sdk-model"} <= set(told.split())


def test_it_serves_where_there_is_no_network(installed: Path, tmp_path: Path) -> None:
    prefix = without_network()
    loopback = ["--loopback"] if prefix else []

    printed = run(
        *prefix, installed, SESSION, installed.with_name("blemish"), *loopback, folder=tmp_path
    )

    assert printed.strip() == "['offline']"


def test_the_network_was_really_off() -> None:
    prefix = without_network()
    if not prefix:
        pytest.skip("no network namespace can be made here: pip was kept off by --no-index alone")

    interfaces = run(*prefix, sys.executable, "-c", "import socket; print(socket.if_nameindex())")

    assert interfaces.strip() == "[(1, 'lo')]"
