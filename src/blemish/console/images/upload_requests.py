"""Images that the page Add images sends: one by one, then many entries at once.

    PUT /console/upload/PROJECT/SET?path=a/b.jpg     the image is the body
    POST /console/upload/PROJECT/entries             [{path, ref, kind, label}]
    POST /console/upload/PROJECT/mixed-sizes         let the images of the project have any size

An image is stored in a folder that is named by its content. So identical images are one object,
and an image that was sent before the connection was lost is not stored twice. A request for an
image that cannot be used succeeds: the answer says what is wrong with the image. Otherwise it has
the size of the image and the one that the project's images have, for the page to compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any

from anyio import CapacityLimiter, to_thread
from nicegui import app as framework
from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic import ValidationError as MalformedError
from starlette.requests import Request

from blemish.console.http import bounded_body, image_problem, json_body, request_visitor
from blemish.console.images.add_entries import add_entries
from blemish.console.images.entry import DatasetKey
from blemish.console.images.folder_labels import ImportCandidate, object_name
from blemish.console.images.image_bucket import image_bucket
from blemish.console.language.messages import say
from blemish.console.services import Services
from blemish.console.visitor import Visitor
from blemish.domain.entities import DatasetType, Label, ObjectRef
from blemish.domain.errors import ResourceNotFoundError, ValidationError
from blemish.domain.manifest import parse_line
from blemish.engine.images.decode import ImageError, ImageLimits, decode
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.sizes import ImageSize, common_size
from blemish.service.datasets.datasets import EntryFilter
from blemish.service.datasets.validation import SIZED_IMAGES
from blemish.storage.errors import ObjectError
from blemish.wire.errors import RequestEntityTooLargeError

CHECKED_AT = (64, 64)
"""JPEG files are decoded to their end at about this size: a damaged one shows, and it is quick."""

MAX_ENTRIES = 2_000
"""Of one request; the page sends fewer."""

_threads = CapacityLimiter(2)
"""For checking images, so that pages need not wait for them."""

_writing = tuple(Lock() for _ in range(64))
"""One for each group of identical images, which may come at the same moment."""


class SentEntry(BaseModel):
    """An image that was sent, to be an entry."""

    model_config = ConfigDict(extra="forbid")

    path: str
    ref: str
    kind: DatasetType
    label: Label | None = None


_SENT_ENTRIES = TypeAdapter(list[SentEntry])


@dataclass(frozen=True, kw_only=True)
class UploadedImage:
    """An image on its way in."""

    dataset: DatasetKey
    path: str
    data: bytes
    sha256: str


@framework.put("/upload/{project}/{kind}")
async def upload_image(
    request: Request, project: str, kind: DatasetType, path: str
) -> Mapping[str, Any]:
    """Check one image, and store it."""
    visitor = request_visitor(request)
    limit_bytes = visitor.services.limits.detect_body_bytes
    try:
        body = await bounded_body(request, limit_bytes=limit_bytes, subject=say("The file"))
    except RequestEntityTooLargeError as error:
        return image_problem(error)
    upload = UploadedImage(
        dataset=DatasetKey(project=project, type=kind),
        path=path,
        data=body.content or b"",
        sha256=body.sha256,
    )
    bucket = await image_bucket(visitor, project)
    answer = await visitor.call("DescribeProject", ProjectName=project)
    mixed = answer["ProjectDescription"]["DetectorSettings"].get("MixedSizes")
    if mixed is None:
        mixed = visitor.services.mixed_sizes
    stored = await to_thread.run_sync(store_upload, visitor, bucket, upload, limiter=_threads)
    return {**stored, "mixed": mixed}


@framework.post("/upload/{project}/mixed-sizes")
async def allow_mixed_sizes(request: Request, project: str) -> Mapping[str, Any]:
    """Let the images of a project have any size."""
    visitor = request_visitor(request)
    settings = {"MixedSizes": True}
    await visitor.call("UpdateDetectorSettings", ProjectName=project, DetectorSettings=settings)
    return {}


@framework.post("/upload/{project}/entries")
async def add_uploaded(request: Request, project: str) -> Mapping[str, Any]:
    """Make images that were sent entries of the project."""
    try:
        sent = _SENT_ENTRIES.validate_python(await json_body(request))
    except MalformedError as error:
        raise ValidationError(f"The entries are malformed: {error.errors()[0]['msg']}.") from None
    if len(sent) > MAX_ENTRIES:
        raise ValidationError(f"At most {MAX_ENTRIES:,} entries at once, not {len(sent):,}.")
    candidates = [
        ImportCandidate(path=entry.path, ref=entry.ref, kind=entry.kind, label=entry.label)
        for entry in sent
    ]
    known = await add_entries(request_visitor(request), project, candidates)
    return {"known": [{"path": path, "why": why} for path, why in known]}


def store_upload(visitor: Visitor, bucket: str, upload: UploadedImage) -> Mapping[str, Any]:
    """Check an image and store it once; return its address, or what is wrong with it."""
    visitor.check("UpdateDatasetEntries", **upload.dataset.names)
    try:
        size = _size_of_data(upload.data, limits=ImageLimits.of(visitor.services.limits))
    except ImageError as error:
        return image_problem(error)
    folder = f"{upload.dataset.project}/{upload.sha256[:32]}/"
    ref = ObjectRef(bucket=bucket, key=folder + object_name(upload.path))
    visitor.authorize_blocking("s3:PutObject", f"arn:aws:s3:::{ref.bucket}/{ref.key}")
    objects = visitor.services.objects
    with _writing[int(upload.sha256[:2], 16) % len(_writing)]:
        same = next(iter(objects.list(bucket, folder)), None)
        if same is not None:
            ref = ObjectRef(bucket=bucket, key=same.key)
        else:
            objects.write(ref, upload.data)
    expected = _common_size(visitor.services, upload.dataset.project)
    return {
        "ref": str(ref),
        "size": _size_members(size),
        "expected": expected and _size_members(expected),
    }


def _size_members(size: ImageSize) -> Mapping[str, Any]:
    return {"stored": size.stored, "upright": size.upright, "text": str(size)}


def _size_of_data(data: bytes, *, limits: ImageLimits) -> ImageSize:
    """Check an image as a training will; return its size.

    Raises:
        ImageError: it cannot be used.
    """
    image = decode(data, limits=limits, at_least=CHECKED_AT)
    return ImageSize.of(image.stored_size, orientation=image.orientation)


def _common_size(services: Services, project: str) -> ImageSize | None:
    """Return the most common size of the first images; None if none can be read."""
    sizes = []
    for kind in DatasetType:
        with suppress(ResourceNotFoundError):
            lines, _ = services.datasets.entries(
                project, kind, wanted=EntryFilter(), token=None, limit=SIZED_IMAGES
            )
            for line in lines:
                with suppress(ObjectError, ImageError):
                    sizes.append(_size_of(services, parse_line(line).image))
    return common_size(sizes) if sizes else None


def _size_of(services: Services, ref: ObjectRef) -> ImageSize:
    size = services.memory.image_sizes.find(ref)
    if size is None:
        data = services.objects.read(ref, max_bytes=services.limits.detect_body_bytes)
        container = read_image_header(data)
        size = ImageSize.of(container.size, orientation=container.orientation)
        services.memory.image_sizes.put(ref, size)
    return size
