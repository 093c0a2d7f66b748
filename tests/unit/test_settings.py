from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from blemish.cli.main import app
from blemish.settings import Settings

ENDPOINT = {"s3_endpoint": "https://s3.example.org/"}
KEY = {"s3_access_key_id": "other", "s3_secret_access_key": "not-to-be-shown"}
PROFILE = {"s3_profile": "factory"}


@pytest.mark.parametrize("who", [KEY, PROFILE])
def test_another_s3_is_opened_by_a_key_or_a_profile(who: dict[str, str]) -> None:
    settings = Settings(**ENDPOINT, **who)  # type: ignore[arg-type]

    assert settings.s3_endpoint == "https://s3.example.org"
    assert "not-to-be-shown" not in repr(settings)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (KEY, "BLEMISH_S3_ACCESS_KEY_ID and BLEMISH_S3_SECRET_ACCESS_KEY: set .*_S3_ENDPOINT too"),
        (PROFILE, "BLEMISH_S3_PROFILE: set BLEMISH_S3_ENDPOINT too"),
        ({"s3_region": "us-east-1"}, "BLEMISH_S3_REGION: set BLEMISH_S3_ENDPOINT too"),
        (ENDPOINT, "BLEMISH_S3_ENDPOINT: set either BLEMISH_S3_PROFILE, or"),
        (ENDPOINT | KEY | PROFILE, "BLEMISH_S3_ENDPOINT: set either BLEMISH_S3_PROFILE, or"),
        (ENDPOINT | {"s3_access_key_id": "other"}, "_SECRET_ACCESS_KEY: set both or neither"),
        (ENDPOINT | {"s3_secret_access_key": "x"}, "_SECRET_ACCESS_KEY: set both or neither"),
        ({"s3_endpoint": "s3.example.org"} | KEY, "s3_endpoint"),
        ({"s3_endpoint": "https://user:x@s3.example.org"} | KEY, "s3_endpoint"),
        ({"s3_endpoint": "https://s3.example.org/bucket"} | KEY, "s3_endpoint"),
    ],
)
def test_half_of_another_s3_is_refused(told: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Settings(**told)


def test_the_command_line_names_the_settings_and_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BLEMISH_S3_SECRET_ACCESS_KEY", "not-to-be-shown")

    ended = CliRunner().invoke(app, ["serve"])

    assert ended.exit_code == 2
    assert ended.stderr == ("blemish: BLEMISH_S3_SECRET_ACCESS_KEY: set BLEMISH_S3_ENDPOINT too\n")
