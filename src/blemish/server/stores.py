"""What a data directory and the settings give: keys, bundles, and the store of the buckets."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from blemish.domain.arns import ArnScope
from blemish.service.access_keys import AccessKeys
from blemish.service.bundles import Bundles
from blemish.service.objects import Objects
from blemish.settings import Settings
from blemish.storage.buckets import Buckets
from blemish.storage.data_directory import DataDirectory
from blemish.storage.encryption import Encryption
from blemish.storage.errors import BucketMissingError, StoreCredentialsError
from blemish.storage.keyring import Keyring
from blemish.storage.kms_address import KmsAddress
from blemish.storage.objects import ObjectStore
from blemish.storage.s3_address import S3Address
from blemish.storage.s3_objects import S3ObjectStore


def bundles_of(settings: Settings, directory: DataDirectory) -> Bundles:
    """Return the bundles of a data directory, for who looks at them beside its server."""
    keyring = Keyring(directory.keyring, staging=directory.staging)
    encryption = encryption_of(settings, keyring)
    return Bundles(directory.bundles, staging=directory.staging, encryption=encryption)


def encryption_of(settings: Settings, keyring: Keyring) -> Encryption:
    kms = settings.kms_region and KmsAddress(
        region=settings.kms_region, profile=settings.kms_profile, endpoint=settings.kms_endpoint
    )
    arns = ArnScope(region=settings.region, account=settings.account)
    return Encryption(keyring, arns=arns, kms=kms or None, random_bytes=secrets.token_bytes)


def s3_store_of(settings: Settings, *, keys: AccessKeys) -> Objects | None:
    """Open the S3 that the settings name; None if they name none.

    Raises:
        StoreCredentialsError: there is no key for it, or it is one of our own.
    """
    if settings.s3_endpoint is None:
        return None
    secret = settings.s3_secret_access_key
    address = S3Address(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        profile=settings.s3_profile,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
    )
    key_id = address.credentials()()["access_key_id"]
    if any(key.id == key_id for key in keys.all()):
        raise StoreCredentialsError(
            f"The access key {key_id} opens this server. The store at BLEMISH_S3_ENDPOINT needs "
            "one of its own, by BLEMISH_S3_PROFILE or BLEMISH_S3_ACCESS_KEY_ID."
        )
    return S3ObjectStore(address)


def bucket_maker(settings: Settings, folder: ObjectStore) -> Callable[[str], None]:
    """Return what makes a bucket; in a store of others, they do that themselves."""
    if settings.s3_endpoint is None:
        return Buckets(folder.paths).create

    def refuse(bucket: str) -> None:
        raise BucketMissingError(
            f"There is no bucket {bucket} in {settings.s3_endpoint}. Make it there first."
        )

    return refuse
