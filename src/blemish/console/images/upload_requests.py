"""Images that the page Add images sends: one by one, then many entries at once.

    PUT /console/upload/PROJECT/SET?path=a/b.jpg&like=800x600x1       the image is the body
    POST /console/upload/PROJECT/entries                              [{path, ref, kind, label}]

An image is stored in a folder that is named by its content. So identical images are one object,
and an image that was sent before the connection was lost is not stored twice. A request for an
image that cannot be used succeeds: the answer says what is wrong with the image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
from blemish.console.services import Services
from blemish.console.visitor import Visitor
from blemish.domain.entities import DatasetType, Label, ObjectRef
from blemish.domain.errors import ResourceNotFoundError, ValidationError
from blemish.domain.manifest import parse_line
from blemish.engine.images.decode import ImageError, ImageLimits, decode
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.sizes import ImageSize, check_size
from blemish.service.datasets.datasets import EntryFilter
from blemish.storage.errors import ObjectError
from blemish.wire.errors import RequestEntityTooLargeError

CHECKED_AT = (64, 64)
"""JPEG files are decoded to their end at about this size: a damaged one shows, and it is quick."""

MAX_ENTRIES = 2_000
"""Of one request; the page sends fewer."""

_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})x([1-8])")

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
class _Upload:
    """An image on its way in."""

    dataset: DatasetKey
    path: str
    data: bytes
    sha256: str
    #: the size that other images of the upload have, as text; empty for the first one
    like: str


@framework.put("/upload/{project}/{kind}")
async def upload_image(
    request: Request, project: str, kind: DatasetType, path: str, like: str = ""
) -> Mapping[str, Any]:
    """Check one image, and store it."""
    visitor = request_visitor(request)
    limit_bytes = visitor.services.limits.detect_body_bytes
    try:
        body = await bounded_body(request, limit_bytes=limit_bytes, subject="The file")
    except RequestEntityTooLargeError as error:
        return image_problem(error)
    upload = _Upload(
        dataset=DatasetKey(project=project, type=kind),
        path=path,
        data=body.content or b"",
        sha256=body.sha256,
        like=like,
    )
    bucket = await image_bucket(visitor, project)
    return await to_thread.run_sync(_store, visitor, bucket, upload, limiter=_threads)


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


def _store(visitor: Visitor, bucket: str, upload: _Upload) -> Mapping[str, Any]:
    visitor.check("UpdateDatasetEntries", **upload.dataset.names)
    try:
        size = _checked_size(visitor, upload)
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
    return {"ref": str(ref), "like": size}


def _checked_size(visitor: Visitor, upload: _Upload) -> str:
    """Check an image as a training will; return its size for those that come with it.

    Raises:
        ImageError: it cannot be used, or not beside the others.
    """
    services = visitor.services
    image = decode(upload.data, limits=ImageLimits.of(services.limits), at_least=CHECKED_AT)
    size = ImageSize.of(image.stored_size, orientation=image.orientation)
    expected = _size_in(services, upload.dataset.project) or _parse_size(upload.like)
    if expected and not services.mixed_sizes:
        check_size(size, expected=expected)
    return "{}x{}x{}".format(*image.stored_size, image.orientation)


def _parse_size(text: str) -> ImageSize | None:
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    width, height, orientation = map(int, match.groups())
    return ImageSize.of((width, height), orientation=orientation)


def _size_in(services: Services, project: str) -> ImageSize | None:
    """Return the size of the first image of a project; None if it has none that can be read."""
    for kind in DatasetType:
        try:
            lines, _ = services.datasets.entries(
                project, kind, wanted=EntryFilter(), token=None, limit=1
            )
        except ResourceNotFoundError:
            continue
        for line in lines:
            try:
                return _size_of(services, parse_line(line).image)
            except (ObjectError, ImageError):
                return None
    return None


def _size_of(services: Services, ref: ObjectRef) -> ImageSize:
    size = services.memory.image_sizes.find(ref)
    if size is None:
        data = services.objects.read(ref, max_bytes=services.limits.detect_body_bytes)
        container = read_image_header(data)
        size = ImageSize.of(container.size, orientation=container.orientation)
        services.memory.image_sizes.put(ref, size)
    return size
