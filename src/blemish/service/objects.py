"""What the service needs of a store of buckets; `storage` has one in a folder and one in S3."""

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
        """How another process opens the same store, in JSON; it may hold a secret."""

    def has_bucket(self, bucket: str) -> bool:
        """Tell whether there is a bucket of this name.

        Raises:
            ObjectError: the store does not say.
        """

    def check_key(self, bucket: str, key: str) -> None:
        """Allow a key that an object in the bucket has, or could have.

        Raises:
            ObjectError: there is no such bucket, or no object can have this key.
        """

    def size(self, ref: ObjectRef) -> int:
        """Return the size of an object, in bytes.

        Raises:
            ObjectError: there is no such object, or it cannot be looked at.
        """

    def read(self, ref: ObjectRef, *, max_bytes: int) -> bytes:
        """Read an object, and never more than `max_bytes` of it.

        Raises:
            ObjectTooLargeError: it is longer.
            ObjectError: there is no such object, or it cannot be read.
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
            ObjectError: there is no such bucket, or it cannot be listed.
        """

    def existing(self, refs: Iterable[ObjectRef]) -> set[ObjectRef]:
        """Return those of `refs` that exist.

        Raises:
            ObjectError: the store does not say.
        """

    def write(self, ref: ObjectRef, data: bytes | Iterable[bytes]) -> None:
        """Write an object, of one piece or of many; it is there whole or not at all.

        Raises:
            ObjectError: it cannot be written.
        """

    def delete(self, ref: ObjectRef) -> None:
        """Delete an object, if it is there.

        Raises:
            ObjectError: it cannot be deleted.
        """


def check_output(objects: Objects, bucket: str, keys: Iterable[str], *, member: str) -> None:
    """Allow a place that objects with these keys could be written to.

    Raises:
        ValidationError: there is no such bucket, or no object can have such a key; the message
            says of which member of the request.
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
