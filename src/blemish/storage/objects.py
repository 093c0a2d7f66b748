"""Objects in folders: `s3://bucket/key` is the file `bucket/key` below one folder.

A user makes a bucket by making its folder, and puts objects there by any means. Files are read
through obstore; before that, every part of their path is looked at here, because obstore's local
store follows symbolic links. Its listing is not used at all: it walks through links, and fails
as a whole over one name that it does not like.

The buckets' folder belongs to the server's user alone (mode 0700): whoever could change it while
it is being looked at could as well read what a link points to.
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from obstore.exceptions import BaseError, PreconditionError
from obstore.store import LocalStore

from blemish.domain.entities import ObjectRef
from blemish.storage.errors import (
    BucketMissingError,
    KeyNotAllowedError,
    ObjectMissingError,
    ObjectReadError,
)
from blemish.storage.files import clear_staging, write_durably
from blemish.storage.names import is_bucket_name, refusal

STAGING = ".staging"
"""Where objects wait until they are whole; not a name that a bucket can have."""

CHUNK_BYTES = 1024 * 1024
"""Of a text that is read line by line."""

MAX_LINE_LENGTH = 1024 * 1024
"""Characters of one line of text, so that a file without line feeds takes no more memory."""

_OS_ERROR = re.compile(r"([^:]+) \(os error \d+\)")


@dataclass(frozen=True, kw_only=True)
class ObjectInfo:
    """An object, as a listing shows it."""

    key: str
    size_bytes: int
    modified_at: datetime


class ObjectStore:
    """The objects below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def clear_staging(self) -> None:
        """Remove what a crash left behind; to be called while nobody writes."""
        clear_staging(self.root / STAGING)

    def has_bucket(self, bucket: str) -> bool:
        """Tell whether there is a bucket of this name."""
        if not is_bucket_name(bucket):
            return False
        found = _lstat(self.root / bucket)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def check_key(self, bucket: str, key: str) -> None:
        """Allow a key that a file in the bucket has, or could have, as its name.

        Raises:
            BucketMissingError: there is no such bucket.
            KeyNotAllowedError: no file can have exactly this name.
        """
        self._look(ObjectRef(bucket=bucket, key=key))

    def size(self, ref: ObjectRef) -> int:
        """Return the size of an object, in bytes.

        Raises:
            BucketMissingError: there is no such bucket.
            ObjectMissingError: there is no such object.
            KeyNotAllowedError: no object can have this key.
        """
        found = self._look(ref)
        if found is None:
            raise ObjectMissingError(f"There is no object {ref}.")
        return found.st_size

    def read(self, ref: ObjectRef) -> bytes:
        """Read an object.

        Raises:
            ObjectReadError: it cannot be read.
            ObjectError: what `size` raises.
        """
        self.size(ref)
        with _clear_errors(ref):
            return self._files.get(_path(ref)).bytes().to_bytes()

    def read_lines(self, ref: ObjectRef, *, max_bytes: int) -> Iterator[str]:
        """Yield the lines of a UTF-8 text, without their line feeds, in bounded memory.

        Raises:
            ObjectReadError: it is longer than `max_bytes`, not UTF-8, or cannot be read.
            ObjectError: what `size` raises.
        """
        decoder = codecs.getincrementaldecoder("utf-8")()
        rest = ""
        with _clear_errors(ref):
            for chunk in self._chunks(ref, max_bytes=max_bytes):
                *lines, rest = (rest + decoder.decode(chunk)).split("\n")
                yield from lines
                if len(rest) > MAX_LINE_LENGTH:
                    raise ObjectReadError(
                        f"{ref} has a line of more than {MAX_LINE_LENGTH} characters."
                    )
            rest += decoder.decode(b"", final=True)
        if rest:
            yield rest

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """Stream the objects whose keys begin with `prefix`, in no promised order.

        Raises:
            BucketMissingError: there is no such bucket.
            ObjectReadError: a folder cannot be read.
        """
        self._check_bucket(bucket)
        folders = [prefix.rpartition("/")[0]]
        while folders:
            folder = folders.pop()
            for each in self._scan(bucket, folder):
                key = f"{folder}/{each.name}" if folder else each.name
                if not key.startswith(prefix):
                    continue
                if each.is_dir(follow_symlinks=False):
                    folders.append(key)
                elif _is_object(each, key) and (found := _lstat(each.path)):
                    modified_at = datetime.fromtimestamp(found.st_mtime, UTC)
                    yield ObjectInfo(key=key, size_bytes=found.st_size, modified_at=modified_at)

    def existing(self, refs: Iterable[ObjectRef]) -> set[ObjectRef]:
        """Return those of `refs` that exist; each folder that they name is listed once.

        Raises:
            ObjectReadError: a folder cannot be read.
        """
        folders: dict[tuple[str, str], dict[str, ObjectRef]] = {}
        for ref in refs:
            folder, _, name = ref.key.rpartition("/")
            folders.setdefault((ref.bucket, folder), {})[name] = ref
        return {
            wanted[each.name]
            for (bucket, folder), wanted in folders.items()
            if self.has_bucket(bucket)
            for each in self._scan(bucket, folder)
            if each.name in wanted and _is_object(each, wanted[each.name].key)
        }

    def write(self, ref: ObjectRef, data: bytes) -> None:
        """Write an object, which is there whole and survives a power cut, or not at all.

        Raises:
            BucketMissingError: there is no such bucket.
            KeyNotAllowedError: no object can have this key.
            StoreWriteError: it cannot be written; `StoreFullError` if for want of room.
        """
        self._look(ref)
        path = self.root / ref.bucket / ref.key
        write_durably(path, data, staging=self.root / STAGING, name=str(ref))

    @cached_property
    def _files(self) -> LocalStore:
        return LocalStore(self.root)

    def _chunks(self, ref: ObjectRef, *, max_bytes: int) -> Iterator[bytes]:
        # not one stream: in obstore 0.12 that never ends when the file is cut short meanwhile
        self.size(ref)
        meta = self._files.head(_path(ref))
        size, version = meta["size"], meta["e_tag"]
        if size > max_bytes:
            raise ObjectReadError(f"{ref} has {size} bytes; at most {max_bytes} are allowed.")
        for start in range(0, size, CHUNK_BYTES):
            end = min(start + CHUNK_BYTES, size)
            part = self._files.get(_path(ref), options={"range": (start, end), "if_match": version})
            yield part.bytes().to_bytes()

    def _check_bucket(self, bucket: str) -> None:
        if not self.has_bucket(bucket):
            raise BucketMissingError(f"There is no bucket {bucket!r:.100}.")

    def _look(self, ref: ObjectRef) -> os.stat_result | None:
        """Look at every part of an object's path, following no link; None if there is no object."""
        self._check_bucket(ref.bucket)
        with _clear_errors(ref):
            folder = self._folder(ref)
            found = _lstat(folder / ref.key.rpartition("/")[2]) if folder else None
        if found and not stat.S_ISREG(found.st_mode):
            raise _not_allowed(ref, f"it is the name of {_kind(found)}")
        return found

    def _folder(self, ref: ObjectRef) -> Path | None:
        """Return the folder where an object would lie; None if there is none."""
        reason = refusal(ref.key)
        if reason is not None:
            raise _not_allowed(ref, reason)
        path = self.root / ref.bucket
        for segment in ref.key.split("/")[:-1]:
            path /= segment
            found = _lstat(path)
            if found is None:
                return None
            if not stat.S_ISDIR(found.st_mode):
                raise _not_allowed(ref, f"{segment!r} in it is {_kind(found)}, not a folder")
        return path

    def _scan(self, bucket: str, folder: str) -> Iterator[os.DirEntry[str]]:
        """List a folder ("" is the bucket's own), unless there is none or a link leads to it."""
        any_object = ObjectRef(bucket=bucket, key=f"{folder}/-" if folder else "-")
        with suppress(KeyNotAllowedError, ObjectMissingError), _clear_errors(any_object):
            if path := self._folder(any_object):
                with os.scandir(path) as entries:
                    yield from entries


def _is_object(entry: os.DirEntry[str], key: str) -> bool:
    return entry.is_file(follow_symlinks=False) and refusal(key) is None


def _lstat(path: str | Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _kind(found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return "a symbolic link"
    if stat.S_ISDIR(found.st_mode):
        return "a folder"
    return "a file" if stat.S_ISREG(found.st_mode) else "a special file"


def _path(ref: ObjectRef) -> str:
    return f"{ref.bucket}/{ref.key}"


def _not_allowed(ref: ObjectRef, reason: str) -> KeyNotAllowedError:
    return KeyNotAllowedError(
        f"{ref.key!r:.300} cannot be a key in the bucket {ref.bucket}: {reason}."
    )


@contextmanager
def _clear_errors(ref: ObjectRef) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissingError(f"There is no object {ref}.") from error
    except UnicodeDecodeError as error:
        raise ObjectReadError(f"{ref} is not UTF-8 text ({error.reason}).") from error
    except PreconditionError as error:
        raise ObjectReadError(f"{ref} was changed while it was read.") from error
    except (BaseError, OSError) as error:
        if getattr(error, "errno", None) == errno.ENAMETOOLONG:
            raise _not_allowed(ref, "it is too long for this file system") from error
        raise ObjectReadError(f"{ref} cannot be read ({_reason(error)}).") from error


def _reason(error: Exception) -> str:
    """Return what the operating system said; obstore's own text tells paths of this machine."""
    said = _OS_ERROR.search(str(error))
    return getattr(error, "strerror", None) or (said[1].strip() if said else type(error).__name__)
