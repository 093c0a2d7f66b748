from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Literal, get_args

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from blemish.cli.main import app
from blemish.domain.limits import PROFILES
from blemish.engine.graph.providers import PROVIDERS
from blemish.settings import Provider, Settings

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
        ({"kms_profile": "factory"}, "BLEMISH_KMS_PROFILE: set BLEMISH_KMS_REGION too"),
        ({"kms_endpoint": "https://kms.example.org"}, "_KMS_ENDPOINT: set BLEMISH_KMS_REGION too"),
        (
            {"files_url": "s3://files"} | ENDPOINT | KEY,
            "BLEMISH_FILES_URL: set BLEMISH_DATABASE_URL",
        ),
        ({"files_url": "files/plant"} | ENDPOINT | KEY, "files_url"),
        ({"s3_endpoint": "s3.example.org"} | KEY, "s3_endpoint"),
        ({"s3_endpoint": "https://user:x@s3.example.org"} | KEY, "s3_endpoint"),
        ({"s3_endpoint": "https://s3.example.org/bucket"} | KEY, "s3_endpoint"),
    ],
)
def test_half_of_another_s3_or_of_aws_kms_is_refused(told: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Settings(**told)


def test_the_command_line_names_the_settings_and_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BLEMISH_S3_SECRET_ACCESS_KEY", "not-to-be-shown")

    ended = CliRunner().invoke(app, ["serve"])

    assert ended.exit_code == 2
    assert ended.stderr == ("blemish: BLEMISH_S3_SECRET_ACCESS_KEY: set BLEMISH_S3_ENDPOINT too\n")


def test_a_database_of_another_kind_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BLEMISH_DATABASE_URL", "mysql://someone:not-to-be-shown@db/plant")

    ended = CliRunner().invoke(app, ["serve"])

    assert ended.stderr == ("blemish: BLEMISH_DATABASE_URL: it must begin with postgresql://\n")


def test_providers_are_told_with_commas_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLEMISH_PROVIDERS", "openvino, cpu")

    assert Settings().providers == ("openvino", "cpu")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("cuda,cpu", "=cuda,cpu: the installed ONNX Runtime has no cuda; it has cpu.\n"),
        ("gpu", "='gpu': Input should be 'cpu', 'openvino', 'cuda' or 'tensorrt'\n"),
        ("", "='': Input should be 'cpu', 'openvino', 'cuda' or 'tensorrt'\n"),
    ],
)
def test_a_provider_that_is_not_there_ends_the_server_at_its_start(
    told: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLEMISH_PROVIDERS", told)

    ended = CliRunner().invoke(app, ["serve"])

    assert ended.exit_code == 2
    assert ended.stderr == f"blemish: BLEMISH_PROVIDERS{reason}"


def test_every_provider_of_the_settings_is_one_of_the_engine() -> None:
    assert get_args(Provider) == tuple(PROVIDERS)


@pytest.mark.parametrize("profile", ["blemish", "original"])
def test_a_profile_is_taken_as_it_is(profile: Literal["blemish", "original"]) -> None:
    assert Settings(limits=profile).limit_profile == PROFILES[profile]


@pytest.mark.parametrize("profile", ["blemish", "original"])
def test_four_limits_may_be_set_beside_the_profile(
    profile: Literal["blemish", "original"],
) -> None:
    settings = Settings(
        limits=profile, detect_body_bytes=1, image_max_side=5_000, inference_units=7
    )

    assert settings.limit_profile == replace(
        PROFILES[profile],
        detect_body_bytes=1,
        image_max_side=5_000,
        image_max_pixels=25_000_000,
        max_inference_units=7,
    )


@pytest.mark.parametrize(
    ("profile", "told", "at_once", "refused_above"),
    [
        ("blemish", None, max(1, (os.cpu_count() or 1) // 2), None),
        ("blemish", 7, 7, None),
        ("original", None, 2, 2),
        ("original", 7, 7, 7),
    ],
)
def test_as_many_trainings_run_as_are_told_and_only_the_original_refuses_more(
    profile: Literal["blemish", "original"],
    told: int | None,
    at_once: int,
    refused_above: int | None,
) -> None:
    settings = Settings(limits=profile, concurrent_trainings=told)

    assert settings.trainings_at_once == at_once
    assert settings.limit_profile.max_concurrent_trainings == refused_above


OIDC = {
    "oidc_issuer": "https://login.example.org",
    "oidc_client_id": "blemish",
    "oidc_client_secret": "not-to-be-shown",
    "oidc_roles": {"leads": "engineer"},
}


@pytest.mark.parametrize("issuer", ["https://a.example.org/realms/x/", "http://localhost:9000"])
def test_an_issuer_is_taken_as_it_is_written(issuer: str) -> None:
    settings = Settings(**OIDC | {"oidc_issuer": issuer})  # type: ignore[arg-type]

    assert settings.oidc_issuer == issuer
    assert "not-to-be-shown" not in repr(settings)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"oidc_issuer": None}, "BLEMISH_OIDC_ROLES: set BLEMISH_OIDC_ISSUER too"),
        ({"oidc_issuer": "http://login.example.org"}, "http://login.example.org must begin with"),
        ({"oidc_issuer": "login.example.org"}, "oidc_issuer"),
        ({"oidc_client_id": None}, "set BLEMISH_OIDC_CLIENT_ID and BLEMISH_OIDC_CLIENT_SECRET too"),
        ({"oidc_client_secret": ""}, "oidc_client_secret"),
        ({"oidc_roles": {}}, "set BLEMISH_OIDC_ROLES or BLEMISH_OIDC_DEFAULT_ROLE too"),
        ({"oidc_roles": {"leads": "boss"}}, "Input should be 'viewer', 'operator', 'labeller'"),
        ({"oidc_default_role": "root"}, "Input should be 'viewer', 'operator', 'labeller'"),
    ],
)
def test_half_of_an_identity_provider_is_refused(told: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Settings(**OIDC | told)
