"""`blemish sdk-model install`, for a boto3 that no longer knows the service."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.registry import ROOT, kept_environment, run
from tests.acceptance.served import ServedDirectory, aws_files, environment

pytestmark = [pytest.mark.acceptance, pytest.mark.registry]

LOCK = ROOT / "requirements-current-boto3.lock"
CLI_LOCK = ROOT / "requirements-s3-clients.lock"
CLIENT = Path(__file__).with_name("newer_client.py")
MAKE_CLIENT = "import boto3; boto3.client('lookoutvision', region_name='us-east-1')"
LIST_PROJECTS = "import boto3; boto3.client('lookoutvision').list_projects()"


@pytest.fixture(scope="module")
def newer_python() -> Path:
    """The interpreter of an environment with a current boto3 alone, kept for the next run."""
    return kept_environment(LOCK, folder=".venv-boto3-current")


def install(home: Path, *options: str | Path) -> str:
    """Run `blemish sdk-model install`; return what it prints."""
    blemish = Path(sys.executable).with_name("blemish")
    return run(blemish, "sdk-model", "install", *options, environment=environment(home))


def last_error(python: Path, program: str, surroundings: dict[str, str]) -> str:
    """Run a program that must fail; return the last line of its traceback."""
    ended = subprocess.run(
        [python, "-c", program], env=surroundings, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    return ended.stderr.splitlines()[-1]


def check_client(python: Path, surroundings: dict[str, str]) -> None:
    """The client of the newer boto3 does what the pinned one does, and warns of nothing."""
    told = json.loads(run(python, "-W", "error", CLIENT, environment=surroundings))

    assert told["boto3"] in LOCK.read_text()
    assert told["pages"] == [["trays", "lids"], ["cups"]]
    assert told["refused"] == "MODEL"
    assert told["ours"] == "MODEL"


def test_a_newer_boto3_does_not_know_the_service(newer_python: Path, tmp_path: Path) -> None:
    error = last_error(newer_python, MAKE_CLIENT, environment(tmp_path))

    assert "UnknownServiceError" in error


def test_it_works_from_a_folder_named_by_the_environment(
    newer_python: Path, served: ServedDirectory, tmp_path: Path
) -> None:
    folder = tmp_path / "models"

    told = install(tmp_path, "--to", folder)

    assert f"export AWS_DATA_PATH={folder}" in told
    surroundings = environment(tmp_path, AWS_DATA_PATH=folder, **aws_files(served))
    check_client(newer_python, surroundings)


def test_it_works_from_the_home_folder(
    newer_python: Path, served: ServedDirectory, tmp_path: Path
) -> None:
    install(tmp_path)

    assert (tmp_path / ".aws" / "models" / "lookoutvision").is_dir()
    check_client(newer_python, environment(tmp_path, **aws_files(served)))


def test_without_an_address_the_client_says_what_is_missing(
    newer_python: Path, tmp_path: Path
) -> None:
    install(tmp_path)

    surroundings = environment(
        tmp_path,
        AWS_ACCESS_KEY_ID="any",
        AWS_SECRET_ACCESS_KEY="any",
        AWS_DEFAULT_REGION="eu-west-1",
    )
    error = last_error(newer_python, LIST_PROJECTS, surroundings)

    # Without the endpoint rule set botocore would look for a host of AWS that is no more.
    assert "AWS_ENDPOINT_URL_LOOKOUTVISION" in error


def test_the_aws_cli_knows_what_is_ours(served: ServedDirectory, tmp_path: Path) -> None:
    python = kept_environment(CLI_LOCK, folder=".venv-s3-clients")
    install(tmp_path)
    program = (python, python.with_name("aws"), "lookoutvision", "cancel-model-training")

    ended = subprocess.run(
        [*program, "--project-name", "cups", "--model-version", "1"],
        env=environment(tmp_path, **aws_files(served)),
        capture_output=True,
        text=True,
        check=False,
    )

    assert "(ResourceNotFoundException) when calling the CancelModelTraining" in ended.stderr
    assert ended.stderr.endswith("Project cups does not exist.\n")
