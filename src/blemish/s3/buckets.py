"""Operations on buckets."""

from __future__ import annotations

from typing import Any

from blemish.s3.folder_markers import FolderMarkers
from blemish.s3.protocol.errors import S3BucketNotEmptyError
from blemish.s3.unsupported import refuse_unsupported
from blemish.storage.database.database import Database
from blemish.storage.objects.buckets import Buckets
from blemish.storage.stored_files import StoredFiles

USUAL_REGION = "us-east-1"
"""The region for which S3 returns no location."""

MAX_BUCKETS = 10_000
"""Of one page."""


class BucketOperations:
    """Makes, lists and deletes buckets; a bucket that is deleted takes its rows with it."""

    def __init__(
        self,
        database: Database,
        buckets: Buckets,
        parts: StoredFiles,
        *,
        markers: FolderMarkers,
        region: str,
        owner: str,
    ) -> None:
        self._database = database
        self._buckets = buckets
        self._parts = parts
        self._markers = markers
        self._region = region
        self._owner = owner

    def list_buckets(
        self,
        *,
        prefix: str = "",
        continuation_token: str = "",
        max_buckets: int = MAX_BUCKETS,
        bucket_region: str | None = None,
    ) -> dict[str, Any]:
        buckets = [
            bucket
            for bucket in self._buckets.all()
            if bucket.name.startswith(prefix) and bucket.name > continuation_token
        ]
        if bucket_region not in {None, self._region}:
            buckets = []
        page = buckets[: max(1, max_buckets)]
        return {
            "Buckets": [
                {"Name": bucket.name, "CreationDate": bucket.changed_at} for bucket in page
            ],
            "Owner": {"ID": self._owner, "DisplayName": self._owner},
            "Prefix": prefix or None,
            "ContinuationToken": page[-1].name if len(page) < len(buckets) else None,
        }

    def create_bucket(
        self, *, bucket: str, create_bucket_configuration: Any = None, **others: Any
    ) -> dict[str, Any]:
        # any region may be named, as any may be signed for: there is one place all the same
        location = dict(create_bucket_configuration or {})
        location.pop("LocationConstraint", None)
        refuse_unsupported(location | others)
        self._buckets.create(bucket)
        return {"Location": f"/{bucket}"}

    def head_bucket(self, *, bucket: str, **others: Any) -> dict[str, Any]:
        refuse_unsupported(others)
        self._buckets.check(bucket)
        return {"BucketRegion": self._region}

    def delete_bucket(self, *, bucket: str, **others: Any) -> dict[str, Any]:
        refuse_unsupported(others)
        self._buckets.check(bucket)
        if marker := self._markers.first(bucket):
            raise S3BucketNotEmptyError(
                f"The bucket {bucket} is not empty: it holds {marker!r:.300}."
            )
        self._buckets.delete(bucket)
        with self._database.writing() as rows:
            rows.object_metadata.delete_bucket(bucket)
            files = rows.uploads.delete_bucket(bucket)
        for file in files:
            self._parts.delete(file)
        return {}

    def get_bucket_location(self, *, bucket: str, **others: Any) -> dict[str, Any]:
        refuse_unsupported(others)
        self._buckets.check(bucket)
        return {"LocationConstraint": None if self._region == USUAL_REGION else self._region}

    def get_bucket_versioning(self, *, bucket: str, **others: Any) -> dict[str, Any]:
        refuse_unsupported(others)
        self._buckets.check(bucket)
        return {}  # which says that it never was on
