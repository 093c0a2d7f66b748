"""Paths of objects: `s3://bucket/key` is the file `bucket/key` below one folder.

Every part of a path is checked, and no symbolic link is followed. Only the server's user can change
the folder of the buckets (mode 0700), and that user can read the target of any link anyway.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blemish.domain.entities import ObjectRef
from blemish.storage.errors import (
    BucketMissingError,
    KeyNotAllowedError,
    KeyTakenError,
    ObjectMissingError,
    ObjectReadError,
    StoreWriteError,
)
from blemish.storage.files import sync_folder
from blemish.storage.objects.names import is_bucket_name, refusal


class ObjectPaths:
    """The files and folders below one folder, as buckets and objects."""

    def __init__(self, root: Path) -> None:
        self.root = root
        #: held while files get or lose their names, so that no folder is removed while in use
        self.names = threading.Lock()

    def has_bucket(self, bucket: str) -> bool:
        """Return whether a bucket exists."""
        if not is_bucket_name(bucket):
            return False
        status = lstat(self.root / bucket)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def check_bucket(self, bucket: str) -> None:
        """Check that a bucket exists.

        Raises:
            BucketMissingError: it does not exist.
        """
        if not self.has_bucket(bucket):
            raise BucketMissingError(f"There is no bucket {bucket!r:.100}.")

    def file(self, ref: ObjectRef) -> Path:
        """Return the path of an object, which `look` checks."""
        return self.root / ref.bucket / ref.key

    def look(self, ref: ObjectRef) -> os.stat_result | None:
        """Check every part of an object's path; return its status, or None without an object.

        Raises:
            BucketMissingError: the bucket does not exist.
            KeyNotAllowedError: the key is not allowed.
            ObjectReadError: a folder cannot be read.
        """
        self.check_bucket(ref.bucket)
        with clear_errors(ref):
            folder = self._folder(ref)
            status = lstat(folder / ref.key.rpartition("/")[2]) if folder else None
        if status and not stat.S_ISREG(status.st_mode):
            refused = KeyTakenError if stat.S_ISDIR(status.st_mode) else KeyNotAllowedError
            raise refused(_not_allowed(ref, f"it is the name of {_kind(status)}"))
        return status

    def scan(self, bucket: str, folder: str) -> Iterator[os.DirEntry[str]]:
        """List a folder ("" is the bucket's own); yield nothing if it is missing or a link.

        Raises:
            ObjectReadError: it cannot be read.
        """
        any_object = ObjectRef(bucket=bucket, key=f"{folder}/-" if folder else "-")
        with suppress(KeyNotAllowedError, ObjectMissingError), clear_errors(any_object):
            if path := self._folder(any_object):
                with os.scandir(path) as entries:
                    yield from entries

    def delete(self, ref: ObjectRef) -> None:
        """Delete an object, if it exists, and folders that become empty; `names` held.

        Raises:
            BucketMissingError: the bucket does not exist.
            KeyNotAllowedError: the key is not allowed.
            StoreWriteError: it cannot be deleted.
        """
        if self.look(ref) is None:
            return
        path = self.file(ref)
        try:
            path.unlink(missing_ok=True)
            sync_folder(_without_empty_folders(path.parent, bucket=self.root / ref.bucket))
        except OSError as error:
            raise StoreWriteError(f"{ref} cannot be deleted ({error.strerror}).") from error

    def _folder(self, ref: ObjectRef) -> Path | None:
        """Return the folder of an object; None if it does not exist."""
        reason = refusal(ref.key)
        if reason is not None:
            raise KeyNotAllowedError(_not_allowed(ref, reason))
        path = self.root / ref.bucket
        for segment in ref.key.split("/")[:-1]:
            path /= segment
            status = lstat(path)
            if status is None:
                return None
            if not stat.S_ISDIR(status.st_mode):
                refused = KeyTakenError if stat.S_ISREG(status.st_mode) else KeyNotAllowedError
                reason = f"{segment!r} in it is {_kind(status)}, not a folder"
                raise refused(_not_allowed(ref, reason))
        return path


def is_object(entry: os.DirEntry[str], key: str) -> bool:
    """Return whether an entry of a folder is the object of this key."""
    return entry.is_file(follow_symlinks=False) and refusal(key) is None


def lstat(path: str | Path) -> os.stat_result | None:
    """Return the status of a path without following a link; None if it does not exist."""
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


@contextmanager
def clear_errors(ref: ObjectRef) -> Iterator[None]:
    """Turn errors of the operating system into errors that name the object.

    Raises:
        ObjectMissingError: the object does not exist.
        ObjectReadError: it cannot be read.
        KeyNotAllowedError: its key is too long for the file system.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissingError(f"There is no object {ref}.") from error
    except UnicodeDecodeError as error:
        raise ObjectReadError(f"{ref} is not UTF-8 text ({error.reason}).") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            reason = "it is too long for this file system"
            raise KeyNotAllowedError(_not_allowed(ref, reason)) from error
        raise ObjectReadError(f"{ref} cannot be read ({error.strerror}).") from error


def _without_empty_folders(folder: Path, *, bucket: Path) -> Path:
    """Remove a folder and its parents while they are empty; return the first that stays."""
    with suppress(OSError):  # not empty
        while folder != bucket:
            folder.rmdir()
            folder = folder.parent
    return folder


def _kind(status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return "a symbolic link"
    if stat.S_ISDIR(status.st_mode):
        return "a folder"
    return "a file" if stat.S_ISREG(status.st_mode) else "a special file"


def _not_allowed(ref: ObjectRef, reason: str) -> str:
    return f"{ref.key!r:.300} cannot be a key in the bucket {ref.bucket}: {reason}."
