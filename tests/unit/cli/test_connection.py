from __future__ import annotations

from pathlib import Path

import pytest

from blemish.cli.connection import ServerSettingsError, server_clients
from blemish.domain.entities import KeyPair
from blemish.server.aws_files import AwsFiles
from blemish.settings import Settings


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with the files of a server, and an environment without AWS."""
    for name in ("AWS_CONFIG_FILE", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "data" / "aws").mkdir(parents=True)
    files = AwsFiles(tmp_path / "data" / "aws", staging=tmp_path)
    files.write_config(endpoint="http://127.0.0.1:1234", region="eu-west-1")
    files.write_key(KeyPair(id="AKIDSERVER", secret="s"))
    return tmp_path / "data"


def test_a_named_data_directory_wins_over_the_environment(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFAMAZON")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")

    clients = server_clients(Settings(data_dir=data_dir), profile=None)

    for client in (clients.s3, clients.lookoutvision):
        assert client.meta.endpoint_url == "http://127.0.0.1:1234"
        assert client._request_signer._credentials.access_key == "AKIDSERVER"
    assert clients.console_bucket == "lookoutvision-eu-west-1-console"


@pytest.mark.parametrize(
    "section",
    [
        "endpoint_url = https://s3.plant:9000\n",
        "services = plant\n[services plant]\ns3 =\n  endpoint_url = https://s3.plant:9000\n",
    ],
)
def test_a_profile_leads_to_buckets_elsewhere(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str
) -> None:
    (tmp_path / "config").write_text(f"[profile plant]\nregion = eu-west-1\n{section}")
    (tmp_path / "credentials").write_text(
        "[plant]\naws_access_key_id = AKIDOFPLANT\naws_secret_access_key = x\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")

    clients = server_clients(Settings(data_dir=data_dir), profile=None, s3_profile="plant")

    assert clients.lookoutvision.meta.endpoint_url == "http://127.0.0.1:1234"
    assert clients.s3.meta.endpoint_url == "https://s3.plant:9000"
    assert clients.s3._request_signer._credentials.access_key == "AKIDOFPLANT"


def test_settings_that_lead_to_amazon_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[profile aws]\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(ServerSettingsError, match=r"lead to https://lookoutvision\.us-east-1\."):
        server_clients(Settings(), profile="aws")


def test_a_data_directory_without_a_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ServerSettingsError, match=r"config does not exist. Name the data directory"
    ):
        server_clients(Settings(data_dir=tmp_path), profile=None, environment={})
