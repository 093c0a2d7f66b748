"""Which store the buckets are in: said in JSON, as a training process is told it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blemish.storage.objects.store import ObjectStore

if TYPE_CHECKING:
    from blemish.storage.objects.s3_store import S3ObjectStore


def open_store(connection: Mapping[str, Any]) -> ObjectStore | S3ObjectStore:
    """Open the store whose `connection` this is: a folder, or the address of an S3."""
    match connection:
        case {"folder": folder}:
            return ObjectStore(Path(folder))
        case _:
            # botocore takes a training process on a folder a quarter of a second
            from blemish.storage.objects.s3_address import S3Address  # noqa: PLC0415
            from blemish.storage.objects.s3_store import S3ObjectStore  # noqa: PLC0415

            return S3ObjectStore(S3Address(**connection))
