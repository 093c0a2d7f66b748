"""The wheel of Blemish, and `make wheelhouse`: both are enough where there is no network."""

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

from tests.acceptance.registry import ROOT, empty_environment, pip_for, require_registry, run

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

SESSION = Path(__file__).with_name("offline_session.py")


@cache
def without_network() -> tuple[str, ...]:
    """Return a command that runs another in a network namespace of its own; empty if none may."""
    if not shutil.which("unshare"):
        return ()
    for command in (("unshare", "--net"), ("unshare", "--map-root-user", "--net")):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return ()


def projects_of_offline_server(
    python: Path, blemish: Path, folder: Path, **environment: str
) -> str:
    """Serve without a network and create a project; return what the server lists."""
    prefix = without_network()
    loopback = ["--loopback"] if prefix else []
    return run(
        *(*prefix, str(python), str(SESSION), str(blemish), *loopback),
        folder=folder,
        environment=os.environ | environment,
    ).strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of Blemish, built as `make wheelhouse` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.iterdir()
    return wheel


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    source = ROOT / "src"
    files = {
        str(path.relative_to(source))
        for path in (source / "blemish").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }

    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if not name.startswith("blemish-")}

    assert packed == files
    assert "blemish/api/service-2.json" in packed
    assert any("/migrations/versions/0001" in name for name in packed)


def test_what_the_wheel_installs_serves_where_there_is_no_network(
    wheel: Path, tmp_path: Path
) -> None:
    package = tmp_path / "package"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--no-deps", "--no-index", "--no-compile", "--target", package, wheel)

    projects = projects_of_offline_server(
        Path(sys.executable), package / "bin" / "blemish", tmp_path, PYTHONPATH=str(package)
    )

    assert projects == "['offline']"


def test_the_network_was_really_off() -> None:
    prefix = without_network()
    if not prefix:
        pytest.skip(
            "no network namespace can be made here: nothing kept the server off the network"
        )

    interfaces = run(*prefix, sys.executable, "-c", "import socket; print(socket.if_nameindex())")

    assert interfaces.strip() == "[(1, 'lo')]"


@pytest.fixture(scope="module")
def wheelhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that `make wheelhouse` writes."""
    require_registry()
    folder = tmp_path_factory.mktemp("wheels") / "wheelhouse"
    # -o: the environment that runs this test is left as it is.
    run("make", "-o", "setup", "wheelhouse", f"WHEELS={folder}", f"VENV={sys.prefix}", folder=ROOT)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def installed(wheelhouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The interpreter of a fresh environment with Blemish from the wheelhouse alone."""
    folder = tmp_path_factory.mktemp("offline") / "venv"
    python = empty_environment(folder)
    others = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    run(
        *(*without_network(), *pip_for(python), "install", "--no-compile"),
        *("--no-index", f"--find-links={wheelhouse}", "blemish"),
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


@pytest.mark.slow
@pytest.mark.registry
def test_the_wheelhouse_holds_what_is_locked_and_blemish(wheelhouse: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    wheels = [parse_wheel_filename(path.name)[:2] for path in wheelhouse.iterdir()]

    assert {str(name): str(version) for name, version in wheels} == locked() | {
        "blemish": project["version"],
        "blemish-edge": project["version"],
    }


@pytest.mark.slow
@pytest.mark.registry
def test_its_versions_are_what_gets_installed(installed: Path) -> None:
    listed = run(*pip_for(installed), "list", "--format=freeze")

    versions = dict(line.split("==") for line in listed.split())
    runtime = {canonicalize_name(name): version for name, version in versions.items()}
    runtime.pop(canonicalize_name("blemish"))
    assert runtime.items() <= locked().items()
    assert {"boto3", "numpy", "onnxruntime"} <= runtime.keys()


@pytest.mark.slow
@pytest.mark.registry
def test_the_installed_command_lists_its_commands(installed: Path) -> None:
    printed = run(installed.with_name("blemish"), "--help")

    assert {"serve", "demo", "sdk-model"} <= set(printed.split())


@pytest.mark.slow
@pytest.mark.registry
def test_it_serves_where_there_is_no_network(installed: Path, tmp_path: Path) -> None:
    projects = projects_of_offline_server(installed, installed.with_name("blemish"), tmp_path)

    assert projects == "['offline']"
