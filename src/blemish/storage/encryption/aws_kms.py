"""Keys in AWS KMS, by their ARN. The server asks AWS KMS only if a setting names a region."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.key_providers.base import MasterKey
from aws_encryption_sdk.key_providers.kms import KMSMasterKey
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from blemish.storage.encryption.kms_address import OUR_ACCESS_KEYS, KmsAddress
from blemish.storage.errors import KeyServiceError, KeyUnavailableError

CONNECT_S, READ_S, TRIES = 3, 5, 2
"""Timeout of AWS KMS: long enough for a slow network, short enough for a request."""

USABLE = "Enabled"
_SERVER_FAULT = 500
_THROTTLED = frozenset({"ThrottlingException", "LimitExceededException"})


def aws_key(arn: str, address: KmsAddress) -> MasterKey:
    """Check a key in AWS KMS; return the SDK's master key for it.

    Raises:
        KeyUnavailableError: the key does not exist, it is not enabled, or we may not use it.
        KeyServiceError: AWS KMS does not answer.
    """
    with clear_kms_errors(arn):
        client = _client(address)
        metadata = client.describe_key(KeyId=arn)["KeyMetadata"]
        if metadata["KeyState"] != USABLE:
            raise KeyUnavailableError(
                f"The key {arn} is {metadata['KeyState']} in AWS KMS. Enable it there."
            )
        return KMSMasterKey(key_id=arn, client=client)


@contextmanager
def clear_kms_errors(arn: str) -> Iterator[None]:
    """Turn errors of boto3 and the SDK into errors that name the key."""
    try:
        yield
    except ClientError as error:
        raise _refusal(arn, error) from error
    except BotoCoreError as error:
        raise _no_answer(arn, str(error)) from error
    except AWSEncryptionSDKClientError as error:
        if isinstance(error.__cause__, ClientError):
            raise _refusal(arn, error.__cause__) from error
        raise _unusable(arn, str(error).partition("\n")[0]) from error


def _refusal(arn: str, error: ClientError) -> KeyUnavailableError | KeyServiceError:
    """Return what a refusal of AWS KMS means: the key, or the service, is at fault."""
    code, text = error.response["Error"]["Code"], error.response["Error"]["Message"]
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if status >= _SERVER_FAULT or code in _THROTTLED:
        return _no_answer(arn, f"{code}: {text}")
    return _unusable(arn, f"{code}: {text}")


def _client(address: KmsAddress) -> Any:
    session = boto3.Session(profile_name=address.profile, region_name=address.region)
    credentials = session.get_credentials()
    if credentials and credentials.access_key.startswith(OUR_ACCESS_KEYS):
        raise KeyUnavailableError(
            f"The access key {credentials.access_key} opens this server, not AWS KMS. Name a "
            "profile of AWS by BLEMISH_KMS_PROFILE."
        )
    config = Config(
        connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"total_max_attempts": TRIES}
    )
    return session.client("kms", endpoint_url=address.endpoint, config=config)


def _unusable(arn: str, reason: str) -> KeyUnavailableError:
    return KeyUnavailableError(f"The key {arn} cannot be used. AWS KMS says: {reason}")


def _no_answer(arn: str, reason: str) -> KeyServiceError:
    return KeyServiceError(f"AWS KMS does not answer for the key {arn}: {reason}")
