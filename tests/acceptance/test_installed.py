"""The wheel in an empty environment, on every Python here: what a user of an index gets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from release.components import read_pins, runtime_components, runtime_lock
from tests.acceptance.registry import ROOT, kept_environment, pip_for, require_registry, run

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.registry,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]

MOST_BYTES = 400_000_000
SESSION = Path(__file__).with_name("offline_session.py")
OLDEST, NEWEST = 11, 14
"""The minor versions of Python 3 that Blemish supports."""


def pythons() -> dict[str, Path]:
    """Return the supported Pythons of this machine by version, on the path or from pyenv."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    interpreters = {f"3.{sys.version_info.minor}": Path(sys.executable)}
    for minor in range(OLDEST, NEWEST + 1):
        name = f"python3.{minor}"
        on_path = shutil.which(name)
        candidates = [
            *versions.glob(f"3.{minor}.*/bin/{name}"),
            *([Path(on_path)] if on_path else []),
        ]
        for python in candidates:
            answer = subprocess.run(
                [python, "-c", "import venv; print('usable')"], capture_output=True, check=False
            )
            if answer.stdout == b"usable\n":
                interpreters.setdefault(f"3.{minor}", python)
    return interpreters


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `make release` builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, folder=ROOT)
    (wheel,) = folder.iterdir()
    return wheel


def locked(_python: Path, folder: Path) -> Path:
    """Return the versions of the lock file, the newest that the ranges allowed when it was made."""
    lock = ROOT / "requirements.lock"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    components = runtime_components(project["dependencies"], read_pins(lock))
    pins = folder / "locked.txt"
    pins.write_text(runtime_lock(lock, components))
    return pins


def lowest(python: Path, folder: Path) -> Path:
    """Return a file of the lowest versions that the ranges allow and that have wheels."""
    uv = kept_environment(ROOT / "requirements-release.lock", folder=".venv-release")
    pins = folder / "lowest.txt"
    run(
        *(uv.with_name("uv"), "pip", "compile", "--quiet", "--resolution=lowest-direct"),
        *("--only-binary=:all:", "--python", python, "--generate-hashes", "-o", pins),
        ROOT / "pyproject.toml",
    )
    return pins


@pytest.fixture(scope="module", params=sorted(pythons()))
def python(request: pytest.FixtureRequest) -> Path:
    require_registry()
    return pythons()[request.param]


@pytest.fixture(scope="module", params=[locked, lowest])
def installed(
    request: pytest.FixtureRequest,
    python: Path,
    wheel: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """The command `blemish` of an environment that had nothing in it."""
    folder = tmp_path_factory.mktemp("installed")
    pins = request.param(python, folder)
    run(python, "-m", "venv", "--without-pip", folder / "venv")
    own = folder / "venv" / "bin" / "python"
    run(*pip_for(own), "install", "--require-hashes", "--no-deps", "--no-compile", "-r", pins)
    run(*pip_for(own), "install", "--no-deps", "--no-index", "--no-compile", wheel)
    run(*pip_for(own), "check")
    yield own.with_name("blemish")
    shutil.rmtree(folder)


@pytest.mark.parametrize("installed", [locked], indirect=True)
def test_what_is_installed_is_small_until_python_compiles_it(installed: Path) -> None:
    files = [path for path in installed.parents[1].rglob("*") if path.is_file()]
    size_bytes = sum(path.lstat().st_blocks * 512 for path in files)

    assert size_bytes < MOST_BYTES


def test_the_demo_learns_a_product_and_finds_its_defects(installed: Path, tmp_path: Path) -> None:
    printed = run(installed, "demo", folder=tmp_path)

    assert "24 of 24 right" in printed
    assert f"{installed} serve --data-dir .blemish-demo" in printed.replace("\n", "")


def test_the_server_answers_a_program(installed: Path, tmp_path: Path) -> None:
    printed = run(installed.with_name("python"), SESSION, installed, folder=tmp_path)

    assert printed.strip() == "['offline']"
