from __future__ import annotations

from pathlib import Path

import pytest

from blemish.storage.errors import StoreCredentialsError
from blemish.storage.objects.s3_address import S3Address
from tests.certificates import made

SECRET = "not-to-be-shown"
KEY = S3Address(
    endpoint="http://x", region="us-east-1", access_key_id="other", secret_access_key=SECRET
)


@pytest.fixture
def aws_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's AWS files, beside variables of the environment that speak of something else."""
    (tmp_path / "credentials").write_text(
        "[store]\naws_access_key_id = from-profile\naws_secret_access_key = x\n"
        "aws_session_token = token\n"
    )
    (tmp_path / "config").write_text("[profile broken]\nrole_arn = x\nsource_profile = absent\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "from-environment")


def test_no_secret_is_shown() -> None:
    shown = repr(KEY)

    assert SECRET not in shown
    assert "other" in shown


@pytest.mark.usefixtures("aws_files")
def test_the_credentials_are_those_of_the_profile_and_of_nothing_else() -> None:
    found = S3Address(endpoint="http://x", region="us-east-1", profile="store").credentials()()

    assert (found["access_key_id"], found["secret_access_key"]) == ("from-profile", "x")
    assert found.get("token") == "token"
    assert found["expires_at"] is not None


@pytest.mark.usefixtures("aws_files")
def test_the_credentials_are_the_key_that_was_given_and_nothing_else() -> None:
    found = KEY.credentials()()

    assert (found["access_key_id"], found["secret_access_key"]) == ("other", SECRET)
    assert found.get("token") is None
    assert found["expires_at"] is None


@pytest.mark.usefixtures("aws_files")
@pytest.mark.parametrize("profile", ["absent", "broken"])
def test_a_profile_that_cannot_be_used_is_named(profile: str) -> None:
    nobody = S3Address(endpoint="http://x", region="us-east-1", profile=profile)

    with pytest.raises(StoreCredentialsError, match=f"The AWS profile '{profile}'"):
        nobody.credentials()


def of_profile(profile: str) -> S3Address:
    return S3Address(endpoint="https://x", region="us-east-1", profile=profile)


@pytest.mark.usefixtures("aws_files")
def test_the_authorities_are_those_of_the_profile_and_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorities = made("plant", authority=True).pem()
    (tmp_path / "plant.pem").write_bytes(authorities)
    (tmp_path / "config").write_text(f"[profile store]\nca_bundle = {tmp_path / 'plant.pem'}\n")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "of-clients.pem"))

    assert of_profile("store").authorities() == authorities
    assert KEY.authorities() is None


@pytest.mark.usefixtures("aws_files")
@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_authorities_that_cannot_be_read_are_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "plant.pem"
    if content is not None:
        path.write_bytes(content)
    (tmp_path / "config").write_text(f"[profile store]\nca_bundle = {path}\n")

    with pytest.raises(StoreCredentialsError, match=f"profile 'store': its ca_bundle {path}"):
        of_profile("store").authorities()
