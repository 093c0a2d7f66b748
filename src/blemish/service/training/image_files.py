"""Image files in the buckets: a file that cannot be read is a problem of its image."""

from __future__ import annotations

from blemish.domain.entities import ObjectRef
from blemish.engine.images.formats import ImageError
from blemish.service.objects import Objects
from blemish.storage.errors import (
    ObjectError,
    ObjectTooLargeError,
    StoreCredentialsError,
    StoreUnavailableError,
)


def read_image_file(objects: Objects, ref: ObjectRef, kind: str, *, max_bytes: int) -> bytes:
    """Read an image or a mask, as `kind` says.

    Raises:
        ImageError: there is no such file, or it is too large or cannot be read.
        StoreUnavailableError, StoreCredentialsError: no file can be read.
    """
    try:
        return objects.read(ref, max_bytes=max_bytes)
    except (StoreUnavailableError, StoreCredentialsError):
        raise
    except ObjectTooLargeError as error:
        raise ImageError(f"The {kind} {error.reason}") from error
    except ObjectError as error:
        raise ImageError(f"The {kind} cannot be read: {error}") from error
