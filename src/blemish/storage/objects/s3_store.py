"""Objects in an external S3, under the same bucket and key.

It allows the same keys as the store in folders, so that buckets can be copied between them. Every
option of obstore is set: obstore would read missing ones from environment variables, which are for
clients of this server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from functools import cache, lru_cache, partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PreconditionError,
)
from obstore.store import S3Store

from blemish.domain.entities import ObjectRef
from blemish.storage.errors import (
    BucketMissingError,
    KeyNotAllowedError,
    ObjectMissingError,
    ObjectReadError,
    ObjectTooLargeError,
    StoreCredentialsError,
    StoreUnavailableError,
    StoreWriteError,
    VersionMissingError,
)
from blemish.storage.objects.names import is_bucket_name, refusal
from blemish.storage.objects.s3_address import S3Address
from blemish.storage.objects.s3_errors import (
    clear_store_errors,
    error_code,
    error_status,
    version_errors,
)
from blemish.storage.objects.store import ObjectInfo, text_lines

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, PutMode
    from obstore.store import ClientConfig

WHOLE_CHUNKS = 32
"""An object of no more chunks is replaced by one request, from memory."""

CHUNK_BYTES = 8 * 1024 * 1024
"""Size of a request for a part of a text."""

OPEN_BUCKETS = 64
"""Buckets whose connections stay open."""

LOOKS_AT_ONCE = 16
"""Parallel requests of a check of many objects."""

RETRIES = 7
RETRY_TIMEOUT = timedelta(seconds=30)
"""Time until a silent store counts as unavailable; clients wait 60 s for an answer."""

CHECK_TIMEOUT = timedelta(seconds=10)
"""The same for requests that fetch no content, which others may wait for."""

CONNECT_TIMEOUT = timedelta(seconds=5)

NOT_IMPLEMENTED = "501"
"""Status of a store that refuses a header which it does not know."""

PROBE_BUCKET = "blemish-readiness-probe"
"""A bucket that need not exist: any answer shows that the store is there."""

NO_SUCH_PREFIX = ".blemish-looks-for-the-bucket"
"""An empty listing is the fastest request that shows a missing bucket."""


class S3ObjectStore:
    """The objects of every bucket that the credentials open."""

    def __init__(self, address: S3Address, *, retries: int | None = None) -> None:
        """Open nothing yet; without `retries`, a request is repeated while others wait for it."""
        self._address = address
        self._retries = RETRIES if retries is None else retries
        self._bucket = lru_cache(OPEN_BUCKETS)(partial(self._opened, RETRY_TIMEOUT))
        self._checked_bucket = lru_cache(OPEN_BUCKETS)(partial(self._opened, CHECK_TIMEOUT))
        self._credentials = cache(address.credentials)
        self._authorities = cache(address.authorities)

    @property
    def connection(self) -> Mapping[str, Any]:
        """See `service.objects.Objects`; holds a secret."""
        return asdict(self._address)

    def has_bucket(self, bucket: str) -> bool:
        """Return whether a bucket exists.

        Raises:
            ObjectReadError: the store denies to list it.
            StoreUnavailableError: the store does not answer.
        """
        if not is_bucket_name(bucket):
            return False
        with clear_store_errors(self._address, f"The bucket {bucket}", "listed", ObjectReadError):
            return self._has_bucket(bucket)

    def problem(self) -> str | None:
        """Return why the store answers nothing, not even a refusal; None if it answers."""
        try:
            with clear_store_errors(
                self._address, "The S3 of the buckets", "used", ObjectReadError
            ):
                self._has_bucket(PROBE_BUCKET)
        except (StoreUnavailableError, StoreCredentialsError) as error:
            return str(error)
        except ObjectReadError:  # a bucket of this name belongs to another account
            pass
        return None

    def check_key(self, bucket: str, key: str) -> None:
        """Check that a key is allowed in a bucket.

        Raises:
            BucketMissingError: the bucket does not exist.
            KeyNotAllowedError: the key is not allowed.
            ObjectError: what `has_bucket` raises.
        """
        self._check_bucket(bucket)
        _check_name(ObjectRef(bucket=bucket, key=key))

    def size(self, ref: ObjectRef) -> int:
        """Return the size of an object, in bytes.

        Raises:
            BucketMissingError: the bucket does not exist.
            ObjectMissingError: the object does not exist.
            KeyNotAllowedError: the key is not allowed.
            ObjectReadError: the store denies to read it.
            StoreUnavailableError: the store does not answer.
        """
        with self._reading(ref):
            return self._checked_bucket(ref.bucket).head(ref.key)["size"]

    def read(self, ref: ObjectRef, *, max_bytes: int) -> bytes:
        """Read an object, by one request.

        Raises:
            ObjectTooLargeError: it is longer than `max_bytes`.
            ObjectError: what `size` raises.
        """
        with self._reading(ref) as files:
            return _read_whole(files.get(ref.key), ref, max_bytes=max_bytes)

    def chunks(self, ref: ObjectRef, *, max_bytes: int) -> Iterator[bytes]:
        """Yield the content of an object in parts; errors as `read`."""
        with self._reading(ref) as files:
            yield from _chunks(files, ref, None, max_bytes=max_bytes)

    def read_lines(
        self, ref: ObjectRef, *, max_bytes: int, version: str | None = None
    ) -> Iterator[str]:
        """Yield the lines of a UTF-8 text, without their line feeds, in bounded memory.

        Raises:
            VersionMissingError: the object has no such version, or its version is a deletion.
            ObjectTooLargeError: it is longer than `max_bytes`.
            ObjectReadError: it is not UTF-8, or cannot be read.
            ObjectError: what `size` raises.
        """
        with self._reading(ref, version) as files:
            chunks = _chunks(files, ref, version, max_bytes=max_bytes)
            yield from text_lines(chunks, name=str(ref))

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """Stream the objects whose keys begin with `prefix`, in the order of the store.

        Raises:
            BucketMissingError: the bucket does not exist.
            ObjectReadError: the store denies to list it.
            StoreUnavailableError: the store does not answer.
        """
        self._check_bucket(bucket)
        folder = prefix.rpartition("/")[0]  # obstore lists only whole folders
        if folder and refusal(f"{folder}/x"):  # and rejects a folder that no key can be in
            return
        with clear_store_errors(self._address, f"The bucket {bucket}", "listed", ObjectReadError):
            for page in self._bucket(bucket).list(folder or None):
                for entry in page:
                    if entry["path"].startswith(prefix):
                        yield ObjectInfo(
                            key=entry["path"],
                            size_bytes=entry["size"],
                            modified_at=entry["last_modified"],
                        )

    def existing(self, refs: Iterable[ObjectRef]) -> set[ObjectRef]:
        """Return those of `refs` that exist; one short request for each.

        Raises:
            ObjectReadError: the store denies access to one.
            StoreUnavailableError: the store does not answer.
        """
        wanted = list(refs)
        with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
            there = pool.map(self._exists, wanted)
            return {ref for ref, exists in zip(wanted, there, strict=True) if exists}

    def write(self, ref: ObjectRef, data: bytes | Iterable[bytes]) -> None:
        """Write an object atomically.

        Raises:
            BucketMissingError: the bucket does not exist.
            KeyNotAllowedError: the key is not allowed.
            StoreWriteError: the store denies to write it.
            StoreUnavailableError: the store does not answer.
        """
        _check_name(ref)
        with clear_store_errors(self._address, str(ref), "written", StoreWriteError):
            try:
                # chunks are uploaded in parts, which become an object when the upload is complete
                whole = isinstance(data, bytes)
                self._bucket(ref.bucket).put(ref.key, data, use_multipart=not whole)
            except FileNotFoundError:
                raise _bucket_missing(ref.bucket) from None

    def version(self, ref: ObjectRef) -> str | None:
        """Return the ETag of an object; None if it does not exist.

        Raises:
            ObjectError: what `size` raises.
        """
        try:
            with self._reading(ref):
                return self._checked_bucket(ref.bucket).head(ref.key)["e_tag"]
        except ObjectMissingError:
            return None

    def replace(
        self, ref: ObjectRef, data: bytes | Iterable[bytes], *, version: str | None
    ) -> bool:
        """Write an object, unless it has another version by then; return whether it is written.

        A store that knows no conditions ignores them, or answers 501. None knows one for an upload
        in parts. After a 501, and with more than `WHOLE_CHUNKS`, another writer is noticed only
        until the upload begins.

        Raises:
            ObjectError: what `write` raises.
        """
        _check_name(ref)
        chunks = iter((data,) if isinstance(data, bytes) else data)
        whole = b"".join(islice(chunks, WHOLE_CHUNKS))
        if (more := next(chunks, None)) is not None:
            return self._write_if_same(ref, chain((whole, more), chunks), version)
        mode: PutMode = "create" if version is None else {"e_tag": version}
        with clear_store_errors(self._address, str(ref), "written", StoreWriteError):
            try:
                self._bucket(ref.bucket).put(ref.key, whole, mode=mode, use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
            except FileNotFoundError:
                self._check_bucket(ref.bucket)
                return False  # it was deleted
            except BaseError as error:
                if error_status(error) != NOT_IMPLEMENTED:
                    raise
                return self._write_if_same(ref, whole, version)
        return True

    def delete(self, ref: ObjectRef) -> None:
        """Delete an object, if it exists.

        Raises:
            BucketMissingError: the bucket does not exist.
            KeyNotAllowedError: the key is not allowed.
            StoreWriteError: the store denies to delete it.
            StoreUnavailableError: the store does not answer.
        """
        _check_name(ref)
        with clear_store_errors(self._address, str(ref), "deleted", StoreWriteError):
            try:
                self._bucket(ref.bucket).delete(ref.key)
            except FileNotFoundError:
                raise _bucket_missing(ref.bucket) from None

    def _write_if_same(
        self, ref: ObjectRef, data: bytes | Iterable[bytes], version: str | None
    ) -> bool:
        if is_same := self.version(ref) == version:
            self.write(ref, data)
        return is_same

    def _exists(self, ref: ObjectRef) -> bool:
        try:
            self.size(ref)
        except (BucketMissingError, ObjectMissingError, KeyNotAllowedError):
            return False
        return True

    def _has_bucket(self, bucket: str) -> bool:
        try:
            next(iter(self._checked_bucket(bucket).list(NO_SUCH_PREFIX)), None)
        except BaseError as error:
            if error_code(error) != "NoSuchBucket":
                raise
            return False
        return True

    def _check_bucket(self, bucket: str) -> None:
        if not self.has_bucket(bucket):
            raise _bucket_missing(bucket)

    @contextmanager
    def _reading(self, ref: ObjectRef, version: str | None = None) -> Iterator[S3Store]:
        """Open a bucket; turn errors into errors that name the object."""
        _check_name(ref)
        try:
            with (
                clear_store_errors(self._address, str(ref), "read", ObjectReadError),
                version_errors(ref, version),
            ):
                yield self._bucket(ref.bucket)
        except FileNotFoundError as error:
            self._check_bucket(ref.bucket)
            if version is not None:
                raise VersionMissingError(ref, version) from error
            raise ObjectMissingError(f"There is no object {ref}.") from error
        except UnicodeDecodeError as error:
            raise ObjectReadError(f"{ref} is not UTF-8 text ({error.reason}).") from error

    def _opened(self, timeout: timedelta, bucket: str) -> S3Store:
        if not is_bucket_name(bucket):
            raise _bucket_missing(bucket)
        endpoint, authorities = self._address.endpoint, self._authorities()
        trusted: ClientConfig = {"root_certificate": authorities} if authorities else {}
        return S3Store(
            bucket,
            endpoint=endpoint,
            aws_endpoint_url_s3=endpoint,
            region=self._address.region,
            virtual_hosted_style_request=False,
            skip_signature=False,
            credential_provider=self._credentials(),
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": CONNECT_TIMEOUT,
                "timeout": timeout,
                **trusted,
            },
            retry_config={"max_retries": self._retries, "retry_timeout": timeout},
        )


def _read_whole(result: GetResult, ref: ObjectRef, *, max_bytes: int) -> bytes:
    size = result.meta["size"]
    if size > max_bytes:
        raise ObjectTooLargeError(ref, size, max_bytes=max_bytes)
    return result.bytes().to_bytes()


def _chunks(
    files: S3Store, ref: ObjectRef, version: str | None, *, max_bytes: int
) -> Iterator[bytes]:
    one: GetOptions = {} if version is None else {"version": version}
    # not by HEAD for a version, since its answer has no error code
    meta = files.get(ref.key, options=one).meta if one else files.head(ref.key)
    size = meta["size"]
    if size > max_bytes:
        raise ObjectTooLargeError(ref, size, max_bytes=max_bytes)
    for start in range(0, size, CHUNK_BYTES):
        end = min(start + CHUNK_BYTES, size)
        of_it: GetOptions = {"range": (start, end), "if_match": meta["e_tag"]}
        part = files.get(ref.key, options={**one, **of_it})
        yield part.bytes().to_bytes()


def _check_name(ref: ObjectRef) -> None:
    reason = refusal(ref.key)
    if reason is not None:
        raise KeyNotAllowedError(
            f"{ref.key!r:.300} cannot be a key in the bucket {ref.bucket}: {reason}."
        )


def _bucket_missing(bucket: str) -> BucketMissingError:
    return BucketMissingError(f"There is no bucket {bucket!r:.100}.")
