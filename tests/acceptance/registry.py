"""Environments of their own, for tests that install packages; and whether that is possible here."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_S = 600
"""A slow line takes minutes for the 120 MB of a wheelhouse."""


@cache
def registry_answers() -> bool:
    """Tell whether pip can fetch a small package from wherever it is set up to look."""
    download = (sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir")
    with tempfile.TemporaryDirectory() as folder:
        command = [*download, "--retries", "1", "--timeout", "15", "--dest", folder, "six"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def require_registry() -> None:
    """Skip the test where packages cannot be fetched."""
    if not registry_answers():
        pytest.skip("pip reaches no package registry from here")


def make_environment(folder: Path, *pip_install: str | Path) -> Path:
    """Make a virtual environment and install into it; return its interpreter.

    Args:
        folder: of the environment; must not exist.
        pip_install: the arguments of `pip install`.
    """
    python = empty_environment(folder)
    # modules are compiled when a test imports them: most of an environment never is
    run(*pip_for(python), "install", "--no-compile", *pip_install)
    return python


def pip_for(python: Path) -> tuple[str | Path, ...]:
    """Return the command of this environment's pip that works on another environment."""
    return (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)


def kept_environment(lock: Path, *, folder: str) -> Path:
    """Make the virtual environment of a lock file if there is none; return its interpreter.

    The test is skipped where the environment is not there yet and packages cannot be fetched.

    Args:
        lock: the lock file, in the root.
        folder: name of the folder in the root that keeps the environment for the next run.
    """
    environment = ROOT / folder / hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    finished = environment / "finished"
    with _alone(folder):
        if not finished.exists():
            require_registry()
            shutil.rmtree(environment.parent, ignore_errors=True)
            make_environment(environment, "--require-hashes", "-r", lock)
            finished.touch()
    return environment / "bin" / "python"


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Keep the other test processes from making the same environment."""
    name = hashlib.sha256(str(ROOT / folder).encode()).hexdigest()[:12]
    with (Path(tempfile.gettempdir()) / f"blemish-tests-{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def empty_environment(folder: Path) -> Path:
    """Make a virtual environment without any package; return its interpreter."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    return folder / "bin" / "python"


def run(
    *command: str | Path, folder: Path | None = None, environment: dict[str, str] | None = None
) -> str:
    """Run a command that must succeed; return what it prints."""
    ended = subprocess.run(
        [*command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
