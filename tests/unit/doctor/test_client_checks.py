from __future__ import annotations

from pathlib import Path

import pytest

from blemish.cli.sdk_model import install_model
from blemish.doctor.client_checks import aws_cli_finding, client_finding, model_finding
from blemish.doctor.report import Level


@pytest.mark.parametrize(
    ("botocore", "has_model", "level"),
    [
        ("1.40.60", False, Level.OK),
        ("1.40.61", False, Level.WARNING),
        ("1.44.0", True, Level.OK),
        ("1.30.9", False, Level.WARNING),
    ],
)
def test_a_client_knows_the_service_or_is_named(
    botocore: str, has_model: bool, level: Level
) -> None:
    finding = client_finding("boto3", botocore=botocore, has_model=has_model)

    assert finding.level is level


@pytest.mark.parametrize(
    ("printed", "level"),
    [
        ("aws-cli/1.42.60 Python/3.11.7 Linux/6.1 botocore/1.40.60", Level.OK),
        ("aws-cli/1.46.3 Python/3.11.7 md/Botocore#1.44.3 botocore/1.44.3", Level.WARNING),
        ("aws-cli/2.31.0 Python/3.13.7 Linux/6.1 exe/x86_64", Level.NOTE),
        ("", Level.NOTE),
    ],
)
def test_the_aws_cli_is_judged_by_what_it_prints(printed: str, level: Level) -> None:
    assert aws_cli_finding(printed, has_model=False).level is level


def test_the_installed_model_is_compared_with_ours(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path / "home"), "AWS_DATA_PATH": str(tmp_path / "models")}
    assert model_finding(environment) is None
    folder = install_model(tmp_path / "models")
    same = model_finding(environment)
    (folder / "service-2.json").write_text("{}")
    other = model_finding(environment)

    assert same is not None
    assert same.level is Level.OK
    assert other is not None
    assert other.level is Level.WARNING
    assert other.message == f"{folder} has the model of another version of Blemish."
