"""The files for containers: what linters say, and the steps of the Dockerfile without an engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.registry import ROOT, kept_environment, require_registry, run

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.registry,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]

DEPLOY = ROOT / "deploy"
SESSION = Path(__file__).with_name("container_session.py")
MOST_MIB = 400
COMPOSE_FILES = tuple(
    f"deploy/compose{name}.yaml" for name in ("", "-postgresql", "-cluster", "-servers")
)
NAMESPACE = ("unshare", "--mount", "--propagation", "private")


@pytest.fixture(scope="module")
def tools() -> Path:
    """The folder of the linters."""
    return kept_environment(ROOT / "requirements-release.lock", folder=".venv-release").parent


@pytest.mark.parametrize(
    "command",
    [
        ["hadolint", "deploy/Dockerfile"],
        ["hadolint", "deploy/Dockerfile-cluster"],
        ["check-jsonschema", "--builtin-schema=vendor.compose-spec", *COMPOSE_FILES],
        ["kubernetes-validate", "--strict", "deploy/kubernetes.yaml"],
        ["kubernetes-validate", "--strict", "deploy/kubernetes-servers.yaml"],
        ["yamllint", "--strict", "deploy", ".github", ".yamllint"],
        ["check-jsonschema", "--builtin-schema=vendor.dependabot", ".github/dependabot.yml"],
        ["zizmor", "--offline", "--config=.github/zizmor.yml", ".github"],
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
def test_linters_and_schemas_have_no_complaint(tools: Path, command: list[str]) -> None:
    run(tools / command[0], *command[1:], folder=ROOT)


def test_workflows_have_the_form_that_their_schema_asks_for(tools: Path) -> None:
    workflows = sorted((ROOT / ".github" / "workflows").iterdir())

    run(tools / "check-jsonschema", "--builtin-schema=vendor.github-workflows", *workflows)


def test_the_steps_of_the_dockerfile_make_a_server_that_needs_no_root(tmp_path: Path) -> None:
    require_registry()
    if (
        os.geteuid()
        or subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("only root can have a mount namespace, and this process is not")
    sources = tmp_path / "sources"
    run("git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", sources)
    environment = os.environ | {"PYTHONPATH": str(sources / "src")}
    run(sys.executable, "-m", "release", "dist", folder=sources, environment=environment)

    printed = run(
        *(*NAMESPACE, sys.executable, SESSION, DEPLOY / "Dockerfile", sources / "dist"),
        environment=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )

    report = json.loads(printed.splitlines()[-1])
    assert report["projects"] == ["contained"]
    assert "24 of 24 right" in report["demo"]
    assert report["status"] == 0
    assert report["owner"] == 10_001
    assert report["size_mib"] < MOST_MIB
    assert "other machines could read images" in report["unprotected"]
