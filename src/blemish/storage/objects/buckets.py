"""Buckets: the folders below one folder whose names S3 allows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime

from blemish.domain.entities import ObjectRef
from blemish.storage.errors import (
    BucketExistsError,
    BucketNameError,
    BucketNotEmptyError,
    StoreWriteError,
)
from blemish.storage.files import remove_tree, sync_folder
from blemish.storage.objects.names import is_bucket_name
from blemish.storage.objects.paths import ObjectPaths, clear_errors, lstat
from blemish.storage.objects.streams import STAGING, FileVersion


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A bucket, with the time of change of its folder."""

    name: str
    changed_at: datetime


class Buckets:
    """Creates, lists and deletes buckets."""

    def __init__(self, paths: ObjectPaths) -> None:
        self._paths = paths

    def all(self) -> list[Bucket]:
        """Return the buckets in the order of their names."""
        with os.scandir(self._paths.root) as entries:
            names = [entry.name for entry in entries if self._paths.has_bucket(entry.name)]
        buckets = [
            Bucket(name=name, changed_at=FileVersion.of(folder).modified_at)
            for name in names
            if (folder := lstat(self._paths.root / name))
        ]
        return sorted(buckets, key=lambda bucket: bucket.name)

    def check(self, name: str) -> None:
        """Check that a bucket exists.

        Raises:
            BucketMissingError: it does not exist.
        """
        self._paths.check_bucket(name)

    def create(self, name: str) -> None:
        """Create a bucket.

        Raises:
            BucketNameError: the name is not allowed.
            BucketExistsError: it exists already.
            StoreWriteError: its folder cannot be created.
        """
        if not is_bucket_name(name):
            raise BucketNameError(
                f"{name!r:.100} cannot be the name of a bucket: that has 3 to 63 lower-case "
                "letters, digits, dots and hyphens, and is no IP address."
            )
        try:
            (self._paths.root / name).mkdir(mode=0o700)
            sync_folder(self._paths.root)
        except FileExistsError as error:
            raise BucketExistsError(f"There is a bucket {name} already.") from error
        except OSError as error:
            raise StoreWriteError(
                f"The bucket {name} cannot be made ({error.strerror})."
            ) from error

    def delete(self, name: str) -> None:
        """Delete a bucket and the empty folders in it.

        Raises:
            BucketMissingError: the bucket does not exist.
            BucketNotEmptyError: it holds files, objects or not.
            StoreWriteError: it cannot be deleted.
        """
        with self._paths.names:
            self._paths.check_bucket(name)
            folder = self._paths.root / name
            with clear_errors(ObjectRef(bucket=name, key="")):
                for path, folders, files in os.walk(folder, onerror=_raise):
                    links = [name for name in folders if os.path.islink(f"{path}/{name}")]  # noqa: PTH114
                    if files or links:
                        first = os.path.relpath(f"{path}/{(files + links)[0]}", folder)
                        raise BucketNotEmptyError(
                            f"The bucket {name} is not empty: its folder holds {first!r:.300}."
                        )
            remove_tree(folder, staging=self._paths.root / STAGING)


def _raise(error: OSError) -> None:
    raise error
