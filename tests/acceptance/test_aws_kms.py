"""Keys of AWS KMS, spoken to over its real protocol: moto's server on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from blemish.storage.encryption.encryption import Encryption
from blemish.storage.encryption.kms_address import KmsAddress
from blemish.storage.encryption.sealed_header import SealingKey, sealing_key_of
from blemish.storage.errors import KeyServiceError, KeyUnavailableError
from tests.acceptance.moto import moto_server
from tests.acceptance.product import PROJECT, detect, host, images, make_dataset
from tests.acceptance.served import BUCKET, ServedDirectory, model_status, wait_for
from tests.unit.storage.sealing import new_encryption, new_keyring

pytestmark = [pytest.mark.acceptance, pytest.mark.registry]

REGION = "eu-central-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "other-key", "AWS_SECRET_ACCESS_KEY": "other-secret"}
CONTEXT = {"what": "a test"}


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


@pytest.fixture
def kms(moto: str) -> Any:
    """Its owner's client."""
    return boto3.client(
        "kms",
        endpoint_url=moto,
        region_name=REGION,
        aws_access_key_id="owner",
        aws_secret_access_key="owner",
        config=Config(retries={"max_attempts": 0}),
    )


@pytest.fixture
def arn(kms: Any) -> str:
    """A key."""
    return str(kms.create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def encryption(moto: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Encryption:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    kms = KmsAddress(region=REGION, endpoint=moto)
    return new_encryption(new_keyring(tmp_path), kms=kms)


def key_id(arn: str) -> str:
    return arn.rpartition("/")[2]


def test_what_a_key_of_aws_kms_sealed_it_opens(encryption: Encryption, arn: str) -> None:
    sealed = encryption.seal_bytes(b"data", context=CONTEXT, kms_key_id=arn)

    assert encryption.open_bytes(sealed, context=CONTEXT, name="it") == b"data"
    assert sealing_key_of(sealed) == SealingKey(provider="aws-kms", id=arn)


def test_an_alias_leads_to_its_key(encryption: Encryption, kms: Any, arn: str) -> None:
    kms.create_alias(AliasName="alias/line-4", TargetKeyId=arn)
    alias = arn.replace(f"key/{key_id(arn)}", "alias/line-4")

    sealed = encryption.seal_bytes(b"data", context=CONTEXT, kms_key_id=alias)

    assert sealing_key_of(sealed) == SealingKey(provider="aws-kms", id=arn)
    assert encryption.open_bytes(sealed, context=CONTEXT, name="it") == b"data"


def test_a_key_that_aws_kms_does_not_know_is_named(encryption: Encryption, arn: str) -> None:
    unknown = arn[:-4] + "0000"

    with pytest.raises(KeyUnavailableError, match=f"{unknown} cannot be used. AWS KMS says: NotF"):
        encryption.seal(b"data", context=CONTEXT, kms_key_id=unknown)


@pytest.mark.parametrize("change", ["disable_key", "schedule_key_deletion"])
def test_a_key_that_is_not_enabled_neither_seals_nor_opens(
    encryption: Encryption, kms: Any, arn: str, change: str
) -> None:
    sealed = encryption.seal_bytes(b"data", context=CONTEXT, kms_key_id=arn)

    getattr(kms, change)(KeyId=key_id(arn))

    with pytest.raises(KeyUnavailableError, match=f"The key {arn} is (Disabled|PendingDeletion)"):
        encryption.seal(b"data", context=CONTEXT, kms_key_id=arn)
    with pytest.raises(KeyUnavailableError, match=f"The key {arn} is (Disabled|PendingDeletion)"):
        encryption.open_bytes(sealed, context=CONTEXT, name="it")


def test_an_aws_kms_that_does_not_answer_may_later(
    encryption: Encryption, arn: str, tmp_path: Path
) -> None:
    sealed = encryption.seal_bytes(b"data", context=CONTEXT, kms_key_id=arn)
    away = KmsAddress(region=REGION, endpoint="http://127.0.0.1:1")
    alone = new_encryption(new_keyring(tmp_path), kms=away)

    with pytest.raises(KeyServiceError, match=f"AWS KMS does not answer for the key {arn}"):
        alone.open_bytes(sealed, context=CONTEXT, name="it")
    with pytest.raises(KeyServiceError, match=f"AWS KMS does not answer for the key {arn}"):
        alone.seal(b"data", context=CONTEXT, kms_key_id=arn)


def test_credentials_that_are_not_there_are_told(
    encryption: Encryption, arn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(KeyServiceError, match="credentials"):
        encryption.seal(b"data", context=CONTEXT, kms_key_id=arn)


def test_a_key_of_this_server_is_not_shown_to_aws(
    encryption: Encryption, arn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "BLEMOURS")

    with pytest.raises(KeyUnavailableError, match="BLEMOURS opens this server, not AWS KMS"):
        encryption.seal(b"data", context=CONTEXT, kms_key_id=arn)


def test_a_model_under_a_key_of_aws_kms_from_training_to_verdict(
    serve: Callable[..., ServedDirectory], moto: str, kms: Any, arn: str
) -> None:
    settings = {"BLEMISH_KMS_REGION": REGION, "BLEMISH_KMS_ENDPOINT": moto}
    served = serve(**settings, **CREDENTIALS)
    client = served.client()
    make_dataset(served, client)
    output = {"S3Location": {"Bucket": BUCKET, "Prefix": "out/"}}
    unknown = arn[:-4] + "0000"
    with pytest.raises(client.exceptions.ValidationException, match=unknown):
        client.create_model(ProjectName=PROJECT, OutputConfig=output, KmsKeyId=unknown)

    client.create_model(ProjectName=PROJECT, OutputConfig=output, KmsKeyId=arn)
    host(client, "1")
    _, body = images()[-1]
    before = detect(client, body)

    kms.disable_key(KeyId=key_id(arn))
    served.end()
    served.start()
    client = served.client()
    status = model_status(client, PROJECT, "1")
    wait_for(status, {"HOSTING_FAILED"}, while_in={"SYSTEM_UPDATING"})
    described = client.describe_model(ProjectName=PROJECT, ModelVersion="1")["ModelDescription"]
    assert f"The key {arn} is Disabled in AWS KMS" in described["StatusMessage"]
    assert described["KmsKeyId"] == arn

    kms.enable_key(KeyId=key_id(arn))
    client.start_model(ProjectName=PROJECT, ModelVersion="1", MinInferenceUnits=1)
    wait_for(status, {"HOSTED"}, while_in={"STARTING_HOSTING"})
    assert detect(client, body) == before
