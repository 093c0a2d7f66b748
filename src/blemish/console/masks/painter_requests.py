"""Where the painter's pixels come from and go to: HTTP beside the pages, for large bodies.

GET /console/painted?project=&set=&ref=  -> size, types and pixels of an image's mask
PUT the same                             <- label, types and pixels; the entry is changed
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlencode

from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from blemish.console.auth.guard import ROOT
from blemish.console.images.dataset_entries import Entry, all_entries, change, entry_line, object_of
from blemish.console.masks.mask_files import (
    HEAD_BYTES,
    Painted,
    decode,
    encode,
    key_beside,
    pack,
    unpack,
)
from blemish.console.visitor import SignedOutError, Visitor, in_thread
from blemish.domain.entities import ObjectRef
from blemish.domain.errors import AccessDeniedError, ServiceError, ValidationError
from blemish.domain.manifest import parse_line
from blemish.engine.errors import EngineError
from blemish.engine.images.decode import ImageError
from blemish.engine.images.headers import read_image_header
from blemish.storage.errors import StorageError
from blemish.wire.errors import WireError

BODY_SLACK = 1.01
"""How much longer than its pixels a compressed mask can be."""


def painted_url(project: str, kind: str, ref: str) -> str:
    """Return where a browser gets and puts the mask of an image."""
    return f"{ROOT}/painted?{urlencode({'project': project, 'set': kind, 'ref': ref})}"


@framework.get("/painted")
async def read(request: Request) -> Response:
    """Send the size of an image and the pixels of its mask."""

    async def answer() -> Response:
        visitor, _, _, entry = await _asked(request)
        data = await in_thread(_packed, visitor, entry)
        return Response(data, media_type="application/octet-stream", headers=_NO_STORE)

    return await _told(answer)


@framework.put("/painted")
async def write(request: Request) -> Response:
    """Save a mask and a label."""

    async def answer() -> Response:
        visitor, project, kind, entry = await _asked(request)
        most = int(visitor.services.limits.image_max_pixels * BODY_SLACK) + HEAD_BYTES
        data = await _bounded(request.stream(), most)
        await in_thread(_allowed, visitor, project, kind)
        painted, mask = await in_thread(_stored, visitor, entry, data)
        line = entry_line(
            entry.ref,
            now=visitor.services.clock(),
            label=painted.label,
            mask_ref=str(mask) if mask else None,
            colors=painted.colors,
        )
        await change(visitor, project, kind, [line])
        return JSONResponse({"label": painted.label})

    return await _told(answer)


_NO_STORE = {"Cache-Control": "no-store"}


async def _asked(request: Request) -> tuple[Visitor, str, str, Entry]:
    """Return who asks for which entry."""
    visitor: Visitor = request.state.visitor
    project, kind, ref = (request.query_params.get(name, "") for name in ("project", "set", "ref"))
    return visitor, project, kind, await _entry(visitor, project, kind, ref)


async def _entry(visitor: Visitor, project: str, kind: str, ref: str) -> Entry:
    if kind not in {"train", "test"}:
        raise ValidationError("set must be train or test.")
    for entry in await all_entries(visitor, project, kind):
        if entry.ref == ref:
            return entry
    raise ValidationError(f"{ref:.300} is not in the data set any more.")


def _packed(visitor: Visitor, entry: Entry) -> bytes:
    size = read_image_header(visitor.read_image_here(object_of(entry.ref))).size
    head: dict[str, object] = {"width": size[0], "height": size[1], "types": []}
    mask = parse_line(entry.line).mask
    if mask is None:
        return pack(None, head)
    try:
        types, pixels = decode(visitor.read_image_here(mask.ref), colors=mask.colors, size=size)
    except (ImageError, StorageError) as error:
        return pack(None, {**head, "problem": f"The mask it has cannot be shown: {error}"})
    return pack(pixels, {**head, "types": list(types)})


def _stored(visitor: Visitor, entry: Entry, data: bytes) -> tuple[Painted, ObjectRef | None]:
    """Check what came, and write it as a PNG beside the image, if anything is painted."""
    image = object_of(entry.ref)
    size = read_image_header(visitor.read_image_here(image)).size
    painted = unpack(data, size=size)
    if not painted.types:
        return painted, None
    png = encode(painted)
    ref = ObjectRef(bucket=image.bucket, key=key_beside(image.key, png))
    visitor.write_object_here(ref, png)
    return painted, ref


def _allowed(visitor: Visitor, project: str, kind: str) -> None:
    """Refuse before anything is written into a bucket."""
    visitor.check_here("UpdateDatasetEntries", ProjectName=project, DatasetType=kind, Changes=b"{}")


async def _bounded(stream: AsyncIterator[bytes], most: int) -> bytes:
    pieces = bytearray()
    async for piece in stream:
        pieces += piece
        if len(pieces) > most:
            raise ValidationError("The mask is larger than any image.")
    return bytes(pieces)


async def _told(answer: Callable[[], Awaitable[Response]]) -> Response:
    """Say in a sentence what went wrong; the painter shows it."""
    try:
        return await answer()
    except SignedOutError as error:
        return PlainTextResponse(str(error), status_code=401)
    except AccessDeniedError as error:
        return PlainTextResponse(error.message, status_code=403)
    except (ServiceError, WireError, StorageError, EngineError, ImageError) as error:
        return PlainTextResponse(str(error), status_code=422)
