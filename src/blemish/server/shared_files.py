"""The files that several servers on one database share, in an S3."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.limits import MIB
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.database import Database
from blemish.storage.errors import BucketMissingError, DataDirectoryError, StoreUnavailableError
from blemish.storage.objects.s3_store import S3ObjectStore
from blemish.storage.shared.file_cache import FileCache
from blemish.storage.shared.folders import SharedFolders, SharedLocation

logger: FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class SharedFiles:
    """The shared folders, by their kind."""

    bundles: SharedFolders
    stored_files: SharedFolders
    backbones: SharedFolders

    def __iter__(self) -> Iterator[SharedFolders]:
        """Yield those that rows name."""
        yield from (self.bundles, self.stored_files)


def shared_files_of(
    settings: Settings, directory: DataDirectory, database: Database, store: S3ObjectStore
) -> SharedFiles | None:
    """Return the shared files of a database; None if the settings name no place for them.

    Raises:
        DataDirectoryError: no server has used the database yet.
    """
    if settings.files_url is None:
        return None
    with database.reading() as rows:
        identity = rows.directory.id()
    if identity is None:
        raise DataDirectoryError("No server has used the database yet. Start one first.")
    location = _location(settings, directory, store, f"{identity}/")
    return SharedFiles(
        bundles=SharedFolders(location, "bundles"),
        stored_files=SharedFolders(location, "kept"),
        backbones=shared_backbones_of(settings, directory, store),
    )


def shared_backbones_of(
    settings: Settings, directory: DataDirectory, store: S3ObjectStore
) -> SharedFolders:
    """Return the shared backbones, which belong to no database."""
    return SharedFolders(_location(settings, directory, store, ""), "backbones")


def check_bucket(settings: Settings, store: S3ObjectStore) -> None:
    """Check that the bucket of the shared files exists; a store that is away is only logged.

    Raises:
        BucketMissingError: it does not exist.
    """
    bucket = files_bucket(settings)[0]
    try:
        if not store.has_bucket(bucket):
            raise BucketMissingError(
                f"BLEMISH_FILES_URL={settings.files_url}: there is no bucket {bucket} in "
                f"{settings.s3_endpoint}. Make it there first."
            )
    except StoreUnavailableError as error:
        logger.warning(
            "the S3 of the shared files is away; the server starts, and waits for it",
            endpoint=settings.s3_endpoint,
            reason=str(error),
        )


def _location(
    settings: Settings, directory: DataDirectory, store: S3ObjectStore, below: str
) -> SharedLocation:
    bucket, prefix = files_bucket(settings)
    max_bytes = settings.files_cache_mib * MIB
    return SharedLocation(
        store=store,
        bucket=bucket,
        prefix=f"{prefix}{below}",
        cache=FileCache(directory.cache, staging=directory.staging, max_bytes=max_bytes),
        staging=directory.staging,
    )


def files_bucket(settings: Settings) -> tuple[str, str]:
    """Return the bucket of `files_url`, and a prefix that is empty or ends in a slash."""
    assert settings.files_url is not None
    bucket, _, prefix = settings.files_url.removeprefix("s3://").partition("/")
    return bucket, f"{prefix}/" if prefix else ""
