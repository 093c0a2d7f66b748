"""What the painter of regions asks the server for.

GET /console/region-painter/PROJECT?ref=&step=&version=  -> an image of the project to paint on
GET /console/region-overlay?project=&version=&ref=       -> them as small transparent image
GET /console/painted-regions?project=&version=&ref=      -> the present regions on that image
PUT the same, If-Match: VERSION                          <- the painted ones; puts them in force
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from blemish.console.http import bounded_body, request_visitor
from blemish.console.images.dataset_entries import all_entries
from blemish.console.images.entry import DatasetKey, Entry, object_address
from blemish.console.images.gallery_query import GalleryQuery, LabelFilter, matching_entries
from blemish.console.images.image_requests import image_url
from blemish.console.language.messages import later, say
from blemish.console.language.numbers import number_text
from blemish.console.masks.mask_files import HEAD_BYTES, pack, unpack_upright
from blemish.console.masks.mask_overlays import overlay_png
from blemish.console.masks.painter_requests import BODY_SLACK, NO_STORE
from blemish.console.masks.region_masks import (
    COLORS,
    RegionOwner,
    present_regions,
    put_regions,
    read_painted,
    version_of,
    write_painted,
)
from blemish.console.paths import ROOT
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType
from blemish.domain.errors import (
    AccessDeniedError,
    ConflictError,
    ResourceType,
    ServiceError,
    ValidationError,
)
from blemish.engine.images.formats import ImageError
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.orientation import turn, turn_size
from blemish.storage.errors import StorageError

CHANGED = later("Somebody else changed these regions after you opened them.")


def region_painter_url(owner: RegionOwner) -> str:
    """Return where the painter of regions asks for images."""
    return f"{ROOT}/region-painter/{quote(owner.project, safe='')}"


@framework.get("/region-painter/{project}")
async def region_painter_image(request: Request, project: str, version: str = "") -> dict[str, Any]:
    """Send an image of the training set, or the one before or after it."""
    visitor, owner = request_visitor(request), RegionOwner(project=project, version=version)
    parameters = request.query_params
    entries = await typical_images(visitor, project)
    if not entries:
        raise ValidationError(say("The training set has no image to paint on."))
    refs = [entry.ref for entry in entries]
    row = refs.index(parameters["ref"]) if parameters.get("ref") in refs else 0
    row += {"1": 1, "-1": -1}.get(parameters.get("step", ""), 0)
    row = min(len(refs) - 1, max(0, row))
    image = {
        "ref": refs[row],
        "name": entries[row].name,
        "label": entries[row].label,
        "position": say(
            "{value} of {refs}", value=number_text(row + 1), refs=number_text(len(refs))
        ),
        "first": row == 0,
        "last": row == len(refs) - 1,
        "url": image_url(refs[row]),
        "mask": _mask_url(owner, refs[row]),
    }
    types = [{"name": name, "color": color, "used": 0} for name, color in COLORS.items()]
    return {"view": "", "image": image, "types": types}


@framework.get("/painted-regions")
async def read_regions(request: Request, project: str, ref: str, version: str = "") -> Response:
    """Send the size of an image and the regions on it."""
    visitor, owner = request_visitor(request), RegionOwner(project=project, version=version)
    regions = await present_regions(visitor, owner)
    data = await in_thread(_packed_regions, visitor, regions, ref)
    return Response(data, media_type="application/octet-stream", headers=NO_STORE)


@framework.put("/painted-regions")
async def save_regions(request: Request, project: str, ref: str, version: str = "") -> Response:
    """Put the painted regions in force, unless they were changed after they were opened."""
    visitor, owner = request_visitor(request), RegionOwner(project=project, version=version)
    limit_bytes = int(visitor.services.limits.image_max_pixels * BODY_SLACK) + HEAD_BYTES
    body = await bounded_body(request, limit_bytes=limit_bytes, subject=say("The mask"))
    await in_thread(_check_allowed, visitor, owner)
    async with visitor.services.memory.saving_masks:
        before = version_of(await present_regions(visitor, owner))
        if request.headers.get("if-match", before) != before:
            raise ConflictError(
                say(CHANGED), resource_type=ResourceType.PROJECT, resource_id=owner.project
            )
        regions = await in_thread(_stored_regions, visitor, ref, body.content or b"")
        await put_regions(visitor, owner, regions)
    return JSONResponse({"label": None, "version": version_of(regions)})


@framework.get("/region-overlay")
async def region_overlay(request: Request, project: str, ref: str, version: str = "") -> Response:
    """Send the present regions on an image, to lie on its thumbnail."""
    visitor, owner = request_visitor(request), RegionOwner(project=project, version=version)
    regions = await present_regions(visitor, owner)
    if not regions:
        return Response(status_code=404)

    def draw() -> bytes:
        header = read_image_header(visitor.read_image_blocking(object_address(ref)))
        member, painted = read_painted(visitor, regions, header)
        return overlay_png(painted.view("u1"), {1: COLORS[member]}, orientation=header.orientation)

    return Response(await in_thread(draw), media_type="image/png", headers=NO_STORE)


async def typical_images(visitor: Visitor, project: str) -> Sequence[Entry]:
    """Return the normal images of the training set by name; all of them if none is normal."""
    entries = await all_entries(visitor, DatasetKey(project=project, type=DatasetType.TRAIN))
    normal = GalleryQuery(label_filter=LabelFilter.NORMAL)
    return await in_thread(matching_entries, entries, normal, {}) or await in_thread(
        matching_entries, entries, GalleryQuery(), {}
    )


def region_overlay_url(owner: RegionOwner, ref: str) -> str:
    """Return where a browser finds the regions that lie on the thumbnail of an image."""
    query = {"project": owner.project, "version": owner.version, "ref": ref}
    return f"{ROOT}/region-overlay?{urlencode(query)}"


def _mask_url(owner: RegionOwner, ref: str) -> str:
    query = {"project": owner.project, "version": owner.version, "ref": ref}
    return f"{ROOT}/painted-regions?{urlencode(query)}"


def _packed_regions(visitor: Visitor, regions: Mapping[str, str], ref: str) -> bytes:
    header = read_image_header(visitor.read_image_blocking(object_address(ref)))
    width, height = turn_size(header.size, header.orientation)
    head: dict[str, object] = {
        "width": width,
        "height": height,
        "orientation": header.orientation,
        "types": [],
        "label": None,
        "version": version_of(regions),
    }
    if not regions:
        return pack(None, head)
    try:
        member, painted = read_painted(visitor, regions, header)
    except (AccessDeniedError, ImageError, ServiceError, StorageError) as error:
        return pack(
            None,
            {**head, "problem": say("The present regions cannot be shown: {error}", error=error)},
        )
    shown = [{"name": member, "color": COLORS[member]}]
    return pack(turn(painted.view("u1"), header.orientation), {**head, "types": shown})


def _stored_regions(visitor: Visitor, ref: str, data: bytes) -> dict[str, str]:
    image = object_address(ref)
    header = read_image_header(visitor.read_image_blocking(image))
    return write_painted(visitor, unpack_upright(data, header), image)


def _check_allowed(visitor: Visitor, owner: RegionOwner) -> None:
    """Refuse before anything is written into a bucket."""
    visitor.check(owner.change, **owner.names)
