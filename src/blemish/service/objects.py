"""What the service needs of a store of objects. `storage` has one in folders and one in an S3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from blemish.domain.entities import ObjectRef
from blemish.domain.errors import ValidationError
from blemish.storage.errors import ObjectError, StoreUnavailableError
from blemish.storage.objects.store import ObjectInfo


class Objects(Protocol):
    """The objects of all buckets."""

    @property
    def connection(self) -> Mapping[str, Any]:
        """JSON with which another process opens the same store; it may hold a secret."""

    def has_bucket(self, bucket: str) -> bool:
        """Return whether a bucket exists.

        Raises:
            ObjectError: the store does not answer.
        """

    def problem(self) -> str | None:
        """Return why the store answers nothing; None if it answers."""

    def check_key(self, bucket: str, key: str) -> None:
        """Check that a key is allowed in a bucket.

        Raises:
            ObjectError: the bucket does not exist, or the key is not allowed.
        """

    def size(self, ref: ObjectRef) -> int:
        """Return the size of an object, in bytes.

        Raises:
            ObjectError: the object does not exist, or its metadata cannot be read.
        """

    def read(self, ref: ObjectRef, *, max_bytes: int) -> bytes:
        """Read an object of at most `max_bytes`.

        Raises:
            ObjectTooLargeError: it is longer.
            ObjectError: the object does not exist, or it cannot be read.
        """

    def read_lines(
        self, ref: ObjectRef, *, max_bytes: int, version: str | None = None
    ) -> Iterator[str]:
        """Yield the lines of a UTF-8 text, without their line feeds, in bounded memory.

        Raises:
            ObjectError: it is longer than `max_bytes`, not UTF-8, or cannot be read; or it has
                no such version.
        """

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """Stream the objects whose keys begin with `prefix`, in no promised order.

        Raises:
            ObjectError: the bucket does not exist, or it cannot be listed.
        """

    def existing(self, refs: Iterable[ObjectRef]) -> set[ObjectRef]:
        """Return those of `refs` that exist.

        Raises:
            ObjectError: the store does not answer.
        """

    def write(self, ref: ObjectRef, data: bytes | Iterable[bytes]) -> None:
        """Write an object atomically, from bytes or from chunks.

        Raises:
            ObjectError: it cannot be written.
        """

    def version(self, ref: ObjectRef) -> str | None:
        """Return a text that changes with the content of an object; None if it does not exist.

        Raises:
            ObjectError: the store does not answer.
        """

    def replace(
        self, ref: ObjectRef, data: bytes | Iterable[bytes], *, version: str | None
    ) -> bool:
        """Write an object, unless it has another version by then; return whether it is written.

        Args:
            ref: the object.
            data: the content.
            version: what `version` returned before.

        Raises:
            ObjectError: it cannot be written.
        """

    def delete(self, ref: ObjectRef) -> None:
        """Delete an object, if it exists.

        Raises:
            ObjectError: it cannot be deleted.
        """


def check_output(objects: Objects, bucket: str, keys: Iterable[str], *, member: str) -> None:
    """Check that objects with these keys can be written to a bucket.

    Raises:
        ValidationError: the bucket does not exist, or a key is not allowed; the message names the
            member of the request.
        StoreUnavailableError: the store does not answer.
    """
    try:
        if not objects.has_bucket(bucket):
            raise ValidationError(f"{member} names the bucket {bucket}, which does not exist.")
        for key in keys:
            objects.check_key(bucket, key)
    except StoreUnavailableError:
        raise
    except ObjectError as error:
        raise ValidationError(f"{member} cannot be written to: {error}") from None
