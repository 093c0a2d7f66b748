"""What the page that brings images sends: each image by itself, then many entries at once.

    PUT /console/upload/PROJECT/KIND?path=a/b.jpg&like=800x600x1      the image is the body
    POST /console/upload/PROJECT/entries                              [{path, ref, kind, label}]

An image is kept in a folder that is named by its content, so identical ones are one object, and
what was sent before the connection was lost is not kept twice. An image that cannot be used is no
failure of the request: the answer says what is wrong with it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Any

from anyio import CapacityLimiter, to_thread
from nicegui import app as framework
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from blemish.console.images import dataset_entries as entries
from blemish.console.images.folder_labels import Piece, object_name, split_new
from blemish.console.services import Services
from blemish.console.visitor import SignedOutError, Visitor
from blemish.domain.entities import DatasetType, Label, ObjectRef
from blemish.domain.errors import AccessDeniedError, ResourceNotFoundError, ServiceError
from blemish.domain.manifest import parse_line
from blemish.engine.images.decode import ImageError, ImageLimits, decode, media_type
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.sizes import ImageSize, check_size
from blemish.service.datasets.datasets import EntryFilter
from blemish.storage.errors import ObjectError, StorageError
from blemish.wire.errors import WireError

CHECKED_AT = (64, 64)
"""JPEG files are read to their end at about this size: a damaged one shows, and it is quick."""

MAX_ENTRIES = 2_000
"""Of one request; the page sends fewer."""

MAX_SIZES = 256
"""First images of projects whose sizes are remembered."""

_LIKE = re.compile(r"(\d{1,6})x(\d{1,6})x([1-8])")

_threads = CapacityLimiter(2)
"""For images that are looked at, so that pages need not wait for them."""

_sizes: dict[tuple[int, ObjectRef], ImageSize] = {}

_writing = tuple(Lock() for _ in range(64))
"""One for each of identical images, which may come at the same moment."""


class Brought(BaseModel):
    """An image that was sent, to be an entry."""

    model_config = ConfigDict(extra="forbid")

    path: str
    ref: str
    kind: DatasetType
    label: Label | None = None


@framework.put("/upload/{project}/{kind}")
async def upload(
    request: Request, project: str, kind: DatasetType, path: str, like: str = ""
) -> Response:
    """Check one image, and keep it; `like` is the size that others of the upload have."""
    visitor: Visitor = request.state.visitor
    most = visitor.services.limits.detect_body_bytes
    data = await _body(request, most=most)
    if data is None:
        return JSONResponse({"problem": f"The file has more than {most:,} bytes."})

    sent = _Sent(project=project, kind=kind, path=path, data=data, like=like)

    async def keep() -> Mapping[str, Any]:
        bucket = await entries.image_bucket(visitor, project)
        return await to_thread.run_sync(_keep, visitor, bucket, sent, limiter=_threads)

    return await _answer(keep)


@framework.post("/upload/{project}/entries")
async def add(request: Request, project: str, brought: list[Brought]) -> Response:
    """Make images that were sent entries of the project."""
    if len(brought) > MAX_ENTRIES:
        return PlainTextResponse(f"At most {MAX_ENTRIES} entries at once.", status_code=413)
    pieces = [Piece(path=b.path, ref=b.ref, kind=b.kind, label=b.label) for b in brought]

    async def bring() -> Mapping[str, Any]:
        known = await bring_in(request.state.visitor, project, pieces)
        return {"known": [{"path": path, "why": why} for path, why in known]}

    return await _answer(bring)


async def bring_in(
    visitor: Visitor, project: str, pieces: Sequence[Piece]
) -> Sequence[tuple[str, str]]:
    """Add images to the data sets of a project, which are made where they are missing.

    Returns:
        The paths of those that the project has already, each with the reason.

    Raises:
        SignedOutError: the session is over.
        ServiceError: it was refused.
    """
    there = {
        kind: {entry.ref for entry in await entries.all_entries(visitor, project, kind)}
        for kind in DatasetType
    }
    new, known = split_new(pieces, there)
    lines: defaultdict[DatasetType, list[str]] = defaultdict(list)
    now = visitor.services.clock()
    for piece in new:
        lines[piece.kind].append(entries.entry_line(piece.ref, label=piece.label, now=now))
    for kind, added in lines.items():
        await make_missing(visitor, project, kind)
        await entries.change(visitor, project, kind, added)
    return known


async def make_missing(visitor: Visitor, project: str, kind: DatasetType) -> None:
    """Make an empty data set unless the project has it."""
    try:
        await visitor.call("DescribeDataset", ProjectName=project, DatasetType=kind)
    except ResourceNotFoundError:
        await visitor.call("CreateDataset", ProjectName=project, DatasetType=kind)


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """An image on its way in."""

    project: str
    kind: DatasetType
    path: str
    data: bytes
    like: str


def _keep(visitor: Visitor, bucket: str, sent: _Sent) -> Mapping[str, Any]:
    visitor.check_here("UpdateDatasetEntries", ProjectName=sent.project, DatasetType=sent.kind)
    try:
        size = _checked(visitor, sent)
    except ImageError as error:
        return {"problem": str(error)}
    digest = sha256(sent.data).hexdigest()
    folder = f"{sent.project}/{digest[:32]}/"
    ref = ObjectRef(bucket=bucket, key=folder + object_name(sent.path))
    visitor.authorize_here("s3:PutObject", f"arn:aws:s3:::{ref.bucket}/{ref.key}")
    objects = visitor.services.objects
    with _writing[int(digest[:2], 16) % len(_writing)]:
        same = next(iter(objects.list(bucket, folder)), None)
        if same is not None:
            ref = ObjectRef(bucket=bucket, key=same.key)
        else:
            objects.write(ref, sent.data)
    return {"ref": str(ref), "like": size}


def _checked(visitor: Visitor, sent: _Sent) -> str:
    """Look at an image as a training will; return its size for those that come with it.

    Raises:
        ImageError: it cannot be used, or not beside the others.
    """
    services = visitor.services
    if sent.data and media_type(sent.data) is None:
        raise ImageError("This is neither a JPEG nor a PNG file.")
    image = decode(sent.data, limits=ImageLimits.of(services.limits), at_least=CHECKED_AT)
    size = ImageSize.of(image.stored_size, orientation=image.orientation)
    expected = _size_in(services, sent.project) or _told(sent.like)
    if expected and not services.mixed_sizes:
        check_size(size, expected=expected)
    return "{}x{}x{}".format(*image.stored_size, image.orientation)


def _told(like: str) -> ImageSize | None:
    found = _LIKE.fullmatch(like)
    if found is None:
        return None
    width, height, orientation = map(int, found.groups())
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
    key = (id(services.objects), ref)
    if key not in _sizes:
        most = services.limits.detect_body_bytes
        header = read_image_header(services.objects.read(ref, max_bytes=most))
        if len(_sizes) >= MAX_SIZES:
            _sizes.clear()
        _sizes[key] = ImageSize.of(header.size, orientation=header.orientation)
    return _sizes[key]


async def _body(request: Request, *, most: int) -> bytes | None:
    """Read the body of a request; None if it has more than `most` bytes."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            return None
    return bytes(data)


async def _answer(work: Callable[[], Awaitable[Mapping[str, Any]]]) -> Response:
    try:
        return JSONResponse(await work())
    except SignedOutError as error:
        return PlainTextResponse(str(error), status_code=401)
    except AccessDeniedError as error:
        return PlainTextResponse(str(error), status_code=403)
    except (ServiceError, WireError) as error:
        return PlainTextResponse(str(error), status_code=400)
    except StorageError as error:
        return PlainTextResponse(str(error), status_code=500)
