from __future__ import annotations

import os
from pathlib import Path

import pytest

from blemish.demo.environment import demo_environment, own_environment
from blemish.server.aws_files import AwsFiles

LEADS_ELSEWHERE = {
    "ALL_PROXY": "http://proxy",
    "AWS_ACCESS_KEY_ID": "another",
    "AWS_CA_BUNDLE": "/nowhere",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_ENDPOINT_URL": "http://localstack",
    "AWS_ENDPOINT_URL_LOOKOUTVISION": "http://localstack",
    "AWS_PROFILE": "factory",
    "BLEMISH_HOST": "0.0.0.0",
    "BLEMISH_DATABASE_URL": "postgresql://blemish@10.0.0.1/plant",
    "BLEMISH_RAY_ADDRESS": "10.0.0.2:6379",
    "BLEMISH_S3_ENDPOINT": "http://minio",
    "BLEMISH_TLS_CERT": "server.pem",
    "HTTPS_PROXY": "http://proxy",
    "REQUESTS_CA_BUNDLE": "/nowhere",
    "http_proxy": "http://proxy",
}


def test_what_leads_requests_elsewhere_is_left_out() -> None:
    others = {"PATH": "/bin", "HOME": "/root", "BLEMISH_TRAINING_THREADS": "2"}

    assert own_environment(LEADS_ELSEWHERE | others) == others


def test_clients_of_the_process_find_one_server_for_as_long_as_the_context_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in LEADS_ELSEWHERE.items():
        monkeypatch.setenv(name, text)
    before = dict(os.environ)

    with demo_environment(AwsFiles(tmp_path, staging=tmp_path)):
        within = {name: os.environ.get(name) for name in LEADS_ELSEWHERE}

    assert {name: text for name, text in within.items() if text is not None} == {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_PROFILE": "blemish",
    }
    assert dict(os.environ) == before
