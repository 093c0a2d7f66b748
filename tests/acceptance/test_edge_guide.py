"""The page on the edge, walked through: from a packaging job to a verdict by the guide's client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import blemish.edge
from tests.acceptance.product import PROJECT, images
from tests.acceptance.served import BUCKET, ServedDirectory, aws_files
from tests.acceptance.test_access import Keys
from tests.acceptance.test_packaging import packaged, start
from tests.acceptance.test_readme import fenced
from tests.edge_agents import EdgeAgentProcess

pytestmark = pytest.mark.acceptance

GUIDE = (Path(__file__).parents[2] / "docs" / "guide" / "edge.md").read_text()
KEY = f"components/{PROJECT}/1.0.0/{PROJECT}-1.0.0.zip"


@pytest.fixture
def device(tmp_path: Path) -> Iterator[EdgeAgentProcess]:
    """A folder for an agent, which ends with the test."""
    folder = tmp_path / "device"
    folder.mkdir()
    agent = EdgeAgentProcess(folder)
    yield agent
    if agent.process is not None:
        agent.end(signal.SIGKILL)


def run_program(program: str, folder: Path, environment: dict[str, str]) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_guide_leads_from_a_job_to_a_verdict(
    served_model: ServedDirectory, device: EdgeAgentProcess, tmp_path: Path
) -> None:
    packaging, client = fenced(GUIDE, "python")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    to_server = {name: str(value) for name, value in aws_files(served_model).items()}
    (tmp_path / "image.png").write_bytes(images()[-1][1])  # Pillow reads it by its content
    proto = Path(blemish.edge.__file__).with_name("edge-agent.proto")
    (tmp_path / "edge-agent.proto").write_bytes(proto.read_bytes())

    job = run_program(packaging, tmp_path, clean | to_server)
    device.command("install", str(served_model.bucket / KEY))
    device.start()
    (generate,) = (block for block in fenced(GUIDE, "sh") if "grpc_tools.protoc" in block)
    line = generate.splitlines()[-1].replace("python ", f"{sys.executable} ", 1)
    subprocess.run(line.split(), cwd=tmp_path, check=True)
    program = client.replace("unix:/tmp/aws.iot.lookoutvision.EdgeAgent.sock", device.socket)
    verdict = run_program(program, tmp_path, clean)

    assert job == "SUCCEEDED\n"
    expected = device.command("detect", str(tmp_path / "image.png")).stdout
    word = "anomaly" if '"is_anomalous": true' in expected else "normal"
    assert verdict.split()[0] == word


def test_a_component_is_installed_from_the_servers_s3(
    served_model: ServedDirectory, device: EdgeAgentProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(served_model.client(), start(served_model.client(), ComponentName=PROJECT))
    printed = Keys(served_model).run("create", "device", "--policy", "ReadOnly")
    key_id, secret = (line.split(" = ")[1] for line in printed.splitlines() if " = " in line)
    monkeypatch.setenv("AWS_ENDPOINT_URL", served_model.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)

    installed = device.command("install", f"s3://{BUCKET}/{KEY}")
    missing = device.command("install", f"s3://{BUCKET}/none.zip", check=False)

    assert installed.stdout == f"Installed {PROJECT} 1.0.0\n"
    assert missing.returncode == 1
    assert missing.stderr.startswith(f"blemish: s3://{BUCKET}/none.zip cannot be downloaded: ")


def test_the_recipe_installs_and_removes_the_component(
    served_model: ServedDirectory, device: EdgeAgentProcess, tmp_path: Path
) -> None:
    packaged(served_model.client(), start(served_model.client(), ComponentName=PROJECT))
    folder = (served_model.bucket / KEY).parent
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    command = home / "bin" / "blemish"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m blemish.edge.commands "$@"\n')
    command.chmod(0o755)
    agent = "aws.iot.lookoutvision.EdgeAgent:"

    def run(step: str) -> None:
        """Run a script of the recipe, its variables filled in as Greengrass does it."""
        script: str = recipe["Manifests"][0]["Lifecycle"][step]["Script"]
        for variable, value in (
            (f"{{{agent}configuration:/Home}}", home),
            (f"{{{agent}configuration:/Components}}", device.components),
            ("{configuration:/Autostart}", "true"),
            ("{artifacts:path}", folder),
        ):
            script = script.replace(variable, str(value))
        subprocess.run(["sh", "-c", script], check=True)

    run("Install")
    listed = device.command("list").stdout
    run("Uninstall")

    assert listed.split()[:3] == [PROJECT, "1.0.0", "autostart"]
    assert device.command("list").stdout == ""
