"""Every operation of S3 that is supported, as one object with a method for each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace

from blemish.s3.buckets import BucketOperations
from blemish.s3.folder_markers import FolderMarkers
from blemish.s3.listing import ListingOperations
from blemish.s3.multipart import MultipartOperations
from blemish.s3.object_tags import ObjectTaggingOperations
from blemish.s3.objects import ObjectOperations
from blemish.s3.stored_objects import StoredObjects
from blemish.s3.unsupported import as_s3_errors, owner_checked
from blemish.s3.uploads import UploadListingOperations
from blemish.storage.database.database import Database
from blemish.storage.objects.buckets import Buckets
from blemish.storage.objects.listing import Listing
from blemish.storage.objects.paths import ObjectPaths
from blemish.storage.objects.streams import ObjectStreams
from blemish.storage.stored_files import StoredFiles


def s3_operations(
    database: Database,
    paths: ObjectPaths,
    *,
    parts: StoredFiles,
    region: str,
    owner: str,
    now: Callable[[], datetime],
    new_name: Callable[[], str],
) -> SimpleNamespace:
    """Return the handlers: methods named like operations, in snake_case.

    Args:
        database: where metadata and uploads are rows.
        paths: of the buckets; every other writer must share them.
        parts: where parts of uploads lie.
        region: that of every bucket.
        owner: the id of whom every bucket belongs to.
        now: the clock.
        new_name: a name that nothing else has.
    """
    markers = FolderMarkers(database, now=now)
    objects = StoredObjects(database, ObjectStreams(paths), markers)
    groups: tuple[object, ...] = (
        BucketOperations(
            database, Buckets(paths), parts, markers=markers, region=region, owner=owner
        ),
        ObjectOperations(objects),
        ObjectTaggingOperations(objects),
        ListingOperations(Listing(paths), objects, markers=markers, owner=owner),
        MultipartOperations(
            database, objects, paths=paths, parts=parts, now=now, new_name=new_name
        ),
        UploadListingOperations(database, paths, owner=owner),
    )
    return SimpleNamespace(
        **{
            name: owner_checked(as_s3_errors()(getattr(group, name)), owner=owner)
            for group in groups
            for name in vars(type(group))
            if not name.startswith("_")
        }
    )
