"""Opening the store of buckets that another process uses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blemish.storage.objects.store import ObjectStore

if TYPE_CHECKING:
    from blemish.storage.objects.s3_store import S3ObjectStore


def open_store(connection: Mapping[str, Any]) -> ObjectStore | S3ObjectStore:
    """Open a store by its `connection`: a folder, or the address of an S3."""
    match connection:
        case {"folder": folder}:
            return ObjectStore(Path(folder))
        case _:
            # botocore takes a quarter of a second to import, which a folder does not need
            from blemish.storage.objects.s3_address import S3Address  # noqa: PLC0415
            from blemish.storage.objects.s3_store import S3ObjectStore  # noqa: PLC0415

            return S3ObjectStore(S3Address(**connection))
