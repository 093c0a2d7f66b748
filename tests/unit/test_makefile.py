from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKE_ANEW = "-m venv --clear .venv"
INSTALL = "-m pip install --require-hashes -r requirements.lock"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose .venv is finished; its stamps are newer than what they depend on."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, tmp_path)
        os.utime(tmp_path / name, (1_000, 1_000))
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    for time, stamp in enumerate((".made", ".runtime", ".dev"), start=2_000):
        (tmp_path / ".venv" / stamp).touch()
        os.utime(tmp_path / ".venv" / stamp, (time, time))
    return tmp_path


def make(project: Path, *arguments: str) -> str:
    """Run make as from a terminal, whatever runs this test; return what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--no-print-directory", *arguments]
    ended = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=True
    )
    return ended.stdout


def planned(project: Path, target: str = "setup") -> str:
    """Return the commands that make would run."""
    return make(project, "--dry-run", target)


def test_a_finished_environment_is_left_alone(project: Path) -> None:
    assert MAKE_ANEW not in planned(project, "demo")
    assert INSTALL not in planned(project, "demo")
    assert "pip install" not in planned(project, "check")


def test_a_changed_lock_file_is_installed(project: Path) -> None:
    (project / "requirements.lock").touch()

    plan = planned(project)

    assert INSTALL in plan
    assert MAKE_ANEW not in plan


def test_a_changed_development_lock_changes_no_runtime(project: Path) -> None:
    (project / "requirements-dev.lock").touch()

    plan = planned(project, "check")

    assert "-r requirements-dev.lock" in plan
    assert INSTALL not in plan


def test_an_installation_that_was_cut_off_begins_anew(project: Path) -> None:
    (project / ".venv" / ".installing").touch()

    plan = planned(project)

    assert MAKE_ANEW in plan
    assert INSTALL in plan


def test_an_environment_that_was_cut_off_begins_anew(project: Path) -> None:
    (project / ".venv" / ".made").unlink()

    assert MAKE_ANEW in planned(project)


def test_an_environment_whose_python_is_gone_begins_anew(project: Path) -> None:
    python = project / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3.9")

    plan = planned(project)

    assert MAKE_ANEW in plan
    assert INSTALL in plan


def test_help_names_every_target_that_people_use(project: Path) -> None:
    printed = make(project)

    targets = {
        "setup",
        "demo",
        "serve",
        "test",
        "test-postgresql",
        "nightly",
        "campaign",
        "bench",
        "bench-full",
        "bench-peers",
        "wheelhouse",
        "edge",
        "release",
        "audit",
        "docs",
        "messages",
        "lock",
        "clean",
        "help",
    }
    assert {line.split()[1] for line in printed.splitlines()} == targets
