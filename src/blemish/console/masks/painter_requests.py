"""Where the painter's pixels come from and go to: HTTP beside the pages, for large bodies.

GET /console/painted?project=&set=&ref=  -> size, types and pixels of an image's mask
PUT the same                             <- label, types and pixels; the entry is changed
"""

from __future__ import annotations

from urllib.parse import urlencode

from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from blemish.console.http import bounded_body, request_visitor
from blemish.console.images.dataset_changes import change_entries
from blemish.console.images.dataset_entries import find_entry
from blemish.console.images.entry import DatasetKey, Entry, entry_line, object_address
from blemish.console.masks.mask_files import (
    HEAD_BYTES,
    PaintedMask,
    decode_stored,
    encode_png,
    key_beside,
    pack,
    unpack,
)
from blemish.console.paths import ROOT
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType, ObjectRef
from blemish.domain.errors import ValidationError
from blemish.domain.manifest import parse_line
from blemish.engine.images.decode import ImageError
from blemish.engine.images.headers import read_image_header
from blemish.storage.errors import StorageError

BODY_SLACK = 1.01
"""How much longer than its pixels a compressed mask can be."""

NO_STORE = {"Cache-Control": "no-store"}


def painted_url(project: str, kind: str, ref: str) -> str:
    """Return where a browser gets and puts the mask of an image."""
    return f"{ROOT}/painted?{urlencode({'project': project, 'set': kind, 'ref': ref})}"


@framework.get("/painted")
async def read_mask(request: Request) -> Response:
    """Send the size of an image and the pixels of its mask."""
    visitor = request_visitor(request)
    entry = await find_entry(visitor, _dataset(request), request.query_params.get("ref", ""))
    data = await in_thread(_packed, visitor, entry)
    return Response(data, media_type="application/octet-stream", headers=NO_STORE)


@framework.put("/painted")
async def save_mask(request: Request) -> Response:
    """Save a mask and a label."""
    visitor, dataset = request_visitor(request), _dataset(request)
    entry = await find_entry(visitor, dataset, request.query_params.get("ref", ""))
    limit_bytes = int(visitor.services.limits.image_max_pixels * BODY_SLACK) + HEAD_BYTES
    body = await bounded_body(request, limit_bytes=limit_bytes, subject="The mask")
    await in_thread(_check_allowed, visitor, dataset)
    painted, mask = await in_thread(_stored, visitor, entry, body.content or b"")
    line = entry_line(
        entry.ref,
        now=visitor.services.clock(),
        label=painted.label,
        mask_ref=str(mask) if mask else None,
        colors=painted.colors,
    )
    await change_entries(visitor, dataset, [line])
    return JSONResponse({"label": painted.label})


def _dataset(request: Request) -> DatasetKey:
    kind = request.query_params.get("set", "")
    if kind not in set(DatasetType):
        raise ValidationError(f"set must be train or test, not {kind!r:.20}.")
    return DatasetKey(project=request.query_params.get("project", ""), type=DatasetType(kind))


def _packed(visitor: Visitor, entry: Entry) -> bytes:
    size = read_image_header(visitor.read_image_blocking(object_address(entry.ref))).size
    head: dict[str, object] = {"width": size[0], "height": size[1], "types": []}
    mask = parse_line(entry.line).mask
    if mask is None:
        return pack(None, head)
    try:
        data = visitor.read_image_blocking(mask.ref)
        types, pixels = decode_stored(data, colors=mask.colors, size=size)
    except (ImageError, StorageError) as error:
        return pack(None, {**head, "problem": f"The stored mask cannot be shown: {error}"})
    return pack(pixels, {**head, "types": list(types)})


def _stored(visitor: Visitor, entry: Entry, data: bytes) -> tuple[PaintedMask, ObjectRef | None]:
    """Check a mask, and write it as a PNG beside the image if anything is painted."""
    image = object_address(entry.ref)
    size = read_image_header(visitor.read_image_blocking(image)).size
    painted = unpack(data, size=size)
    if not painted.types:
        return painted, None
    png = encode_png(painted)
    ref = ObjectRef(bucket=image.bucket, key=key_beside(image.key, png))
    visitor.write_object_blocking(ref, png)
    return painted, ref


def _check_allowed(visitor: Visitor, dataset: DatasetKey) -> None:
    """Refuse before anything is written into a bucket."""
    visitor.check("UpdateDatasetEntries", **dataset.names, Changes=b"{}")
