"""`blemish doctor`, alone and beside a server that runs."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from blemish.cli.main import app
from tests.acceptance.served import ServedDirectory

pytestmark = pytest.mark.acceptance

SECRET = "correct horse battery"
ENVIRONMENT = {
    "PATH": "/nowhere",
    "HOME": "/nowhere",
    "AWS_ENDPOINT_URL": f"http://me:{SECRET.replace(' ', '')}@127.0.0.1:9",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_SESSION_TOKEN": SECRET,
    "BLEMISH_METRICS_TOKEN": SECRET,
    "BLEMISH_S3_ENDPOINT": "http://127.0.0.1:9",
    "BLEMISH_S3_ACCESS_KEY_ID": "someone",
    "BLEMISH_S3_SECRET_ACCESS_KEY": SECRET,
    "BLEMISH_UNKNOWN": SECRET,
    "HTTP_PROXY": f"http://me:{SECRET.replace(' ', '')}@proxy.example:3128",
    "NO_PROXY": "",
    "no_proxy": "",
}


def doctor(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments], env={"PATH": "/nowhere", **environment})


@pytest.fixture
def port() -> Iterator[int]:
    """A port of loopback that another program listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("arguments", [[], ["--json"]])
@pytest.mark.parametrize("wrong", [{}, {"BLEMISH_PORT": SECRET, "BLEMISH_LIMITS": SECRET}])
def test_no_secret_of_the_environment_is_printed(
    tmp_path: Path, arguments: list[str], wrong: dict[str, str]
) -> None:
    printed = doctor(*arguments, "--data-dir", str(tmp_path / "data"), **ENVIRONMENT, **wrong)

    assert "BLEMISH_UNKNOWN" in printed.stdout
    assert "HTTP_PROXY" in printed.stdout
    assert SECRET not in printed.output
    assert SECRET.replace(" ", "") not in printed.output


def test_a_healthy_installation_has_no_problem(tmp_path: Path) -> None:
    printed = doctor("--json", "--port", "0", "--data-dir", str(tmp_path / "data"))

    report = json.loads(printed.stdout)
    assert report["problems"] == 0
    assert printed.exit_code == 0
    assert {"system", "processor", "memory", "clock", "packages", "providers", "disk", "data"} <= {
        finding["topic"] for finding in report["findings"]
    }
    assert not (tmp_path / "data").exists()


def test_a_taken_port_is_a_problem_and_the_exit_status_says_so(tmp_path: Path, port: int) -> None:
    printed = doctor("--data-dir", str(tmp_path), "--port", str(port))

    assert printed.exit_code == 1
    assert f"problem  port       127.0.0.1:{port} cannot be listened on" in printed.stdout
    assert "-> Stop the program that listens there, or use another --port." in printed.stdout


def test_an_address_for_other_machines_needs_a_certificate(tmp_path: Path) -> None:
    printed = doctor("--data-dir", str(tmp_path), "--host", "0.0.0.0", "--port", "0")

    assert "0.0.0.0: other machines could read images" in printed.stdout
    assert "-> Give the server a certificate" in printed.stdout


def test_an_invalid_setting_is_named_and_the_other_checks_go_on(tmp_path: Path) -> None:
    printed = doctor("--data-dir", str(tmp_path), BLEMISH_REGION="nowhere")

    assert printed.exit_code == 1
    assert "problem  settings   BLEMISH_REGION: String should match pattern" in printed.stdout
    assert "memory" in printed.stdout


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    printed = doctor("--data-dir", str(tmp_path), BLEMISH_DATADIR="/srv")

    assert "BLEMISH_DATADIR is no setting of this version" in printed.stdout
    assert "-> Did you mean BLEMISH_DATA_DIR?" in printed.stdout


def test_a_provider_that_is_not_installed_is_a_problem(tmp_path: Path) -> None:
    printed = doctor("--data-dir", str(tmp_path), BLEMISH_PROVIDERS="tensorrt")

    assert printed.exit_code == 1
    assert "the installed ONNX Runtime has no tensorrt" in printed.stdout


def test_a_backbone_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    printed = doctor("--data-dir", str(tmp_path), BLEMISH_BACKBONE="resnet18")

    assert "BLEMISH_BACKBONE=resnet18: There is no backbone resnet18" in printed.stdout


def about_the_server(served: ServedDirectory) -> list[dict[str, Any]]:
    findings = json.loads(doctor("--json", "--data-dir", str(served.folder)).stdout)["findings"]
    return [finding for finding in findings if finding["topic"] == "server"]


def test_a_running_server_is_asked_how_it_is_and_goes_on(
    serve: Callable[..., ServedDirectory],
) -> None:
    served = serve()

    (running,) = about_the_server(served)
    served.client().list_projects()
    served.end()
    (ended,) = about_the_server(served)

    assert running["level"] == "ok"
    assert running["message"] == f"A server runs at {served.endpoint} and is ready."
    assert ended["message"] == f"No server runs on {served.folder}."
