from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from blemish.domain.entities import KeyPair
from blemish.server.announcement import announcement
from blemish.server.aws_files import AwsFiles

ENDPOINT = "http://127.0.0.1:8000"


@pytest.fixture
def files(tmp_path: Path) -> AwsFiles:
    (tmp_path / "staging").mkdir()
    (tmp_path / "aws").mkdir()
    files = AwsFiles(tmp_path / "aws", staging=tmp_path / "staging")
    files.write_key(KeyPair(id="BLEM1", secret="a secret"))
    return files


def announced(
    files: AwsFiles,
    *,
    on_terminal: bool = True,
    serves_s3: bool = True,
    endpoint: str = ENDPOINT,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    text = announcement(
        endpoint,
        files,
        console_endpoint="http://127.0.0.1:8001",
        region="us-east-1",
        serves_s3=serves_s3,
        on_terminal=on_terminal,
        environment=environment,
    )
    return text.splitlines()


def test_a_terminal_is_shown_each_variable_once_and_no_address_for_other_services(
    files: AwsFiles,
) -> None:
    lines = announced(files)

    assert lines == [
        "Blemish listens on http://127.0.0.1:8000",
        "Console: http://127.0.0.1:8001/console",
        "export AWS_ACCESS_KEY_ID=BLEM1",
        "export AWS_SECRET_ACCESS_KEY='a secret'",
        "export AWS_DEFAULT_REGION=us-east-1",
        "export AWS_ENDPOINT_URL_LOOKOUTVISION=http://127.0.0.1:8000",
        "export AWS_ENDPOINT_URL_S3=http://127.0.0.1:8000",
    ]


def test_a_log_is_shown_the_files_and_no_secret(files: AwsFiles) -> None:
    lines = announced(files, on_terminal=False)

    assert lines[2:] == [
        f"AWS_CONFIG_FILE={files.config}",
        f"AWS_SHARED_CREDENTIALS_FILE={files.credentials}",
        "AWS_PROFILE=blemish",
    ]


def test_an_s3_elsewhere_keeps_its_address(files: AwsFiles) -> None:
    lines = announced(files, serves_s3=False)

    assert not [line for line in lines if "AWS_ENDPOINT_URL_S3" in line]


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_named_with_its_remedy(files: AwsFiles, name: str) -> None:
    lines = announced(files, on_terminal=False, environment={name: "http://proxy:3128"})

    assert lines[-2:] == [
        f"{name} would send clients' requests to a proxy. For clients, set:",
        "export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1",
    ]


def test_exceptions_that_are_set_are_kept_in_the_remedy(files: AwsFiles) -> None:
    environment = {"http_proxy": "http://proxy:3128", "no_proxy": "intranet,.example.org"}

    lines = announced(files, environment=environment)

    assert "export NO_PROXY=intranet,.example.org,127.0.0.1" in lines[-1]


@pytest.mark.parametrize(
    ("endpoint", "environment"),
    [
        (ENDPOINT, {"http_proxy": "http://proxy", "no_proxy": "localhost, 127.0.0.1"}),
        (ENDPOINT, {"http_proxy": "http://proxy", "NO_PROXY": "*"}),
        (ENDPOINT, {"https_proxy": "http://proxy"}),
        (ENDPOINT, {"http_proxy": ""}),
        ("http://line.factory:8000", {"http_proxy": "http://proxy", "no_proxy": ".factory"}),
    ],
)
def test_nothing_is_said_where_no_request_would_go_to_a_proxy(
    files: AwsFiles, endpoint: str, environment: dict[str, str]
) -> None:
    lines = announced(files, endpoint=endpoint, environment=environment)

    assert not [line for line in lines if "NO_PROXY" in line]
