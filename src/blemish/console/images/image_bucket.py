"""The bucket for images that people add to a project."""

from __future__ import annotations

from contextlib import suppress

from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType
from blemish.domain.errors import ResourceNotFoundError
from blemish.storage.errors import BucketExistsError


async def image_bucket(visitor: Visitor, project: str) -> str:
    """Return the bucket of the project's images; if it has none, the console's, made if missing.

    Raises:
        AccessDeniedError: the bucket has to be made, and the policies do not allow that.
        ObjectError: it cannot be made.
    """
    return await in_thread(_image_bucket, visitor, project)


def _image_bucket(visitor: Visitor, project: str) -> str:
    services = visitor.services
    for kind in DatasetType:
        try:
            dataset, _ = services.datasets.describe(project, kind)
        except ResourceNotFoundError:
            continue
        if dataset.image_bucket is not None:
            return dataset.image_bucket
    bucket = f"lookoutvision-{services.region}-console"
    if not services.objects.has_bucket(bucket):
        visitor.authorize_blocking("s3:CreateBucket", f"arn:aws:s3:::{bucket}")
        with suppress(BucketExistsError):  # another upload made it in the meantime
            services.make_bucket(bucket)
    return bucket
