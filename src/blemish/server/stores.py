"""The storage of a server: its keys, stored files, bundles and buckets."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from blemish.domain.arns import ArnScope
from blemish.server.foundation import Foundation
from blemish.server.shared_files import SharedFiles, check_bucket, shared_files_of
from blemish.service.access.access_keys import AccessKeys
from blemish.service.access.user_accounts import UserAccounts
from blemish.service.models.bundles import Bundles
from blemish.service.objects import Objects
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import database_address
from blemish.storage.database.database import Database
from blemish.storage.encryption.encryption import Encryption
from blemish.storage.encryption.keyring import DEFAULT, Keyring, new_key
from blemish.storage.encryption.kms_address import KmsAddress
from blemish.storage.errors import BucketMissingError, StoreCredentialsError
from blemish.storage.files import clear_staging, remove_tree
from blemish.storage.objects.buckets import Buckets
from blemish.storage.objects.s3_address import S3Address
from blemish.storage.objects.s3_store import S3ObjectStore
from blemish.storage.objects.store import ObjectStore
from blemish.storage.shared.adoption import share_files
from blemish.storage.stored_files import StoredFiles
from blemish.storage.trash import move_to_trash, unnamed_files


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Where a server stores what is not a row of the database."""

    keyring: Keyring
    encryption: Encryption
    #: manifests, and the entries that trainings were started on, sealed
    stored_files: StoredFiles
    #: parts of unfinished S3 uploads, as plain files
    uploads: StoredFiles
    bundles: Bundles
    #: the buckets of the data directory
    folder: ObjectStore
    #: the buckets that requests name: `folder`, or an S3 that the settings name
    objects: Objects
    access_keys: AccessKeys
    users: UserAccounts
    #: where stored files and bundles are if several servers share them
    shared: SharedFiles | None


def build_storage(foundation: Foundation) -> Storage:
    """Open the storage of a server; a keyring without a default key gets one.

    Raises:
        StoreCredentialsError: there is no key for the S3 of the settings, or it is one of our own.
    """
    directory, settings = foundation.directory, foundation.settings
    staging = directory.staging
    keyring = Keyring(directory.keyring, staging=staging)
    if foundation.disk_problem is None:
        keyring.settle(new_key(DEFAULT, random_bytes=foundation.random_bytes, now=foundation.now()))
    encryption = encryption_of(settings, keyring, random_bytes=foundation.random_bytes)
    folder = ObjectStore(directory.buckets)
    access_keys = AccessKeys(
        foundation.database,
        encryption=encryption,
        now=foundation.now,
        random_bytes=foundation.random_bytes,
    )
    s3_store = s3_store_of(settings, keys=access_keys)
    shared = None
    if s3_store is not None and settings.files_url is not None:
        shared = shared_files_of(settings, directory, foundation.database, s3_store)
    return Storage(
        keyring=keyring,
        encryption=encryption,
        stored_files=StoredFiles(
            directory.stored_files,
            staging=staging,
            encryption=encryption,
            shared=shared.stored_files if shared else None,
        ),
        uploads=StoredFiles(directory.uploads, staging=staging, encryption=None),
        bundles=_bundles(directory, encryption, shared),
        folder=folder,
        objects=s3_store or folder,
        access_keys=access_keys,
        users=UserAccounts(
            foundation.database, now=foundation.now, random_bytes=foundation.random_bytes
        ),
        shared=shared,
    )


def _bundles(
    directory: DataDirectory, encryption: Encryption, shared: SharedFiles | None
) -> Bundles:
    return Bundles(
        directory.bundles,
        staging=directory.staging,
        encryption=encryption,
        shared=shared.bundles if shared else None,
    )


def tidy_directory(foundation: Foundation, storage: Storage) -> None:
    """Delete unfinished files of a crash, and move files that no row names to the trash."""
    directory = foundation.directory
    clear_staging(directory.staging)
    storage.folder.clear_staging()
    for attempt in directory.attempts.iterdir():
        remove_tree(attempt, staging=directory.staging)
    with foundation.database.reading() as rows:
        running = {str(job.id) for job in rows.detection_jobs.unsettled()}
    for folder in directory.detection_jobs.iterdir():
        if folder.name not in running:
            remove_tree(folder, staging=directory.staging)
    unnamed = unnamed_files(directory, foundation.database)
    move_to_trash(unnamed, directory, now=foundation.now())
    if storage.shared is not None:
        share_files(directory.bundles, storage.shared.bundles, staging=directory.staging)
        share_files(directory.stored_files, storage.shared.stored_files, staging=directory.staging)
        share_files(directory.backbones, storage.shared.backbones, staging=directory.staging)


def bundles_of(settings: Settings, directory: DataDirectory) -> Bundles:
    """Return the bundles of a data directory, for commands that read them without a server.

    Raises:
        StorageError: they are in an S3 that cannot be opened.
    """
    keyring = Keyring(directory.keyring, staging=directory.staging)
    encryption = encryption_of(settings, keyring)
    return _bundles(directory, encryption, shared_files_of_settings(settings, directory))


def shared_files_of_settings(settings: Settings, directory: DataDirectory) -> SharedFiles | None:
    """Return the shared files, for commands; None if nothing is shared.

    Raises:
        StorageError: the database or the S3 cannot be opened.
    """
    if settings.files_url is None:
        return None
    with closing(Database.open_current(database_address(settings, directory))) as database:
        return shared_files_of(
            settings, directory, database, S3ObjectStore(s3_address_of(settings))
        )


def encryption_of(
    settings: Settings,
    keyring: Keyring,
    *,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> Encryption:
    """Return encryption under the keys of a keyring, and of AWS KMS if the settings name it."""
    kms = settings.kms_region and KmsAddress(
        region=settings.kms_region, profile=settings.kms_profile, endpoint=settings.kms_endpoint
    )
    arns = ArnScope(region=settings.region, account=settings.account)
    return Encryption(keyring, arns=arns, kms=kms or None, random_bytes=random_bytes)


def s3_address_of(settings: Settings) -> S3Address:
    """Return the address of the S3 that the settings name."""
    assert settings.s3_endpoint is not None
    secret = settings.s3_secret_access_key
    return S3Address(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        profile=settings.s3_profile,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
    )


def s3_store_of(settings: Settings, *, keys: AccessKeys) -> S3ObjectStore | None:
    """Open the S3 that the settings name; None if they name none.

    Raises:
        StoreCredentialsError: there is no key for it, or it is one of our own.
    """
    if settings.s3_endpoint is None:
        return None
    address = s3_address_of(settings)
    key_id = address.credentials()()["access_key_id"]
    if any(key.id == key_id for key in keys.all()):
        raise StoreCredentialsError(
            f"The access key {key_id} opens this server. The store at BLEMISH_S3_ENDPOINT needs "
            "one of its own, by BLEMISH_S3_PROFILE or BLEMISH_S3_ACCESS_KEY_ID."
        )
    return S3ObjectStore(address)


def check_s3(settings: Settings) -> None:
    """Check what can be checked of the S3 of the settings before anything is written.

    Raises:
        BucketMissingError: there is no bucket for shared files.
        ObjectReadError: the S3 denies to list it, for example since the credentials are wrong.
        StoreCredentialsError: there is no key for it, or its authorities cannot be read.
    """
    if settings.s3_endpoint is None:
        return
    address = s3_address_of(settings)
    address.credentials()()
    address.authorities()
    if settings.files_url is not None:
        check_bucket(settings, S3ObjectStore(address))


def bucket_maker(settings: Settings, folder: ObjectStore) -> Callable[[str], None]:
    """Return a function that creates a bucket; it refuses if the buckets are in another S3."""
    if settings.s3_endpoint is None:
        return Buckets(folder.paths).create

    def refuse(bucket: str) -> None:
        raise BucketMissingError(
            f"There is no bucket {bucket} in {settings.s3_endpoint}. Make it there first."
        )

    return refuse
