"""What the painter asks the server for: plain HTTP, so that it works again after a restart.

GET /console/painter/PROJECT/SET?ref=&step=&view=   -> an image, and what comes before and after it
POST /console/painter/PROJECT/types                 <- an anomaly type to add, rename or delete
GET /console/painted?project=&set=&ref=             -> size, types and pixels of an image's mask
PUT the same, If-Match: VERSION                     <- label, types and pixels; changes the entry
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import numpy as np
from nicegui import app as framework
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from blemish.console.http import bounded_body, json_body, request_visitor
from blemish.console.images.dataset_changes import change_entries
from blemish.console.images.dataset_entries import all_entries, find_entry
from blemish.console.images.entry import (
    DatasetKey,
    Entry,
    SetAsideMask,
    entry_line,
    entry_of,
    object_address,
)
from blemish.console.images.gallery_memory import View
from blemish.console.images.gallery_query import query_of
from blemish.console.images.gallery_requests import new_view
from blemish.console.images.image_requests import image_url
from blemish.console.language.messages import later, say
from blemish.console.language.numbers import number_text
from blemish.console.masks.anomaly_types import (
    add_type,
    drop_type,
    project_types,
    rename_type,
)
from blemish.console.masks.mask_files import (
    HEAD_BYTES,
    PaintedMask,
    decode_stored,
    encode_png,
    key_beside,
    pack,
    unpack_upright,
)
from blemish.console.memory import put_under_new_name
from blemish.console.paths import ROOT
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType, MaskOrientation, ObjectRef
from blemish.domain.errors import ConflictError, ResourceType, ValidationError
from blemish.domain.manifest import parse_line
from blemish.engine.images.decode import ImageError
from blemish.engine.images.headers import ImageHeader, read_image_header
from blemish.engine.images.orientation import turn, turn_size
from blemish.storage.errors import StorageError

BODY_SLACK = 1.01
"""How much longer than its pixels a compressed mask can be."""

NO_STORE = {"Cache-Control": "no-store"}

CHANGED = later("Somebody else changed this image after you opened it.")


def painter_url(dataset: DatasetKey) -> str:
    """Return where the painter asks for the images of a data set."""
    return f"{ROOT}/painter/{dataset.project}/{dataset.type}"


def types_url(project: str) -> str:
    """Return where the painter changes the anomaly types of a project."""
    return f"{ROOT}/painter/{project}/types"


@framework.get("/painter/{project}/{kind}")
async def painter_image(request: Request, project: str, kind: DatasetType) -> dict[str, Any]:
    """Send an image of a view, or the one before or after it.

    The order stays as it was when the page was opened, whatever is labelled meanwhile. A server
    that was restarted makes the view again, with the image in it.
    """
    visitor, dataset = request_visitor(request), DatasetKey(project=project, type=kind)
    parameters = request.query_params
    name, view = await _view(visitor, dataset, parameters)
    ref = parameters.get("ref", "")
    row = view.refs.index(ref) if ref in view.refs else 0
    row += {"1": 1, "-1": -1}.get(parameters.get("step", ""), 0)
    row = min(len(view.refs) - 1, max(0, row))
    entry = await find_entry(visitor, dataset, view.refs[row])
    image = {
        "ref": entry.ref,
        "name": entry.name,
        "label": entry.label,
        "position": say(
            "{value} of {refs}, {title}",
            value=number_text(row + 1),
            refs=number_text(len(view.refs)),
            title=dataset.title,
        ),
        "first": row == 0,
        "last": row == len(view.refs) - 1,
        "url": image_url(entry.ref),
        "mask": stored_mask_url(dataset, entry.ref),
        "suggestion": f"{ROOT}/suggestion?{urlencode({'project': project, 'ref': entry.ref})}",
    }
    return {"view": name, "image": image, "types": await _types(visitor, project)}


@framework.post("/painter/{project}/types")
async def change_types(request: Request, project: str) -> dict[str, Any]:
    """Add, rename or delete an anomaly type."""
    visitor = request_visitor(request)
    body = await json_body(request)
    dataset = DatasetKey(project=project, type=DatasetType.TRAIN)
    await in_thread(_check_allowed, visitor, dataset)
    name = ""
    match body:
        case {"add": str(added)}:
            name = await add_type(visitor, project, added)
        case {"rename": [str(old), str(new)]}:
            name = await rename_type(visitor, project, old, new)
        case {"drop": str(dropped)}:
            await drop_type(visitor, project, dropped)
        case _:
            raise ValidationError("A change of the types has a member add, rename or drop.")
    return {"name": name, "types": await _types(visitor, project)}


def stored_mask_url(dataset: DatasetKey, ref: str) -> str:
    """Return where a browser gets and puts the mask of an image."""
    query = {"project": dataset.project, "set": dataset.type, "ref": ref}
    return f"{ROOT}/painted?{urlencode(query)}"


@framework.get("/painted")
async def read_mask(request: Request) -> Response:
    """Send the size of an image and the pixels of its mask, both upright."""
    visitor = request_visitor(request)
    entry = await find_entry(visitor, _dataset(request), request.query_params.get("ref", ""))
    data = await in_thread(_packed, visitor, entry)
    return Response(data, media_type="application/octet-stream", headers=NO_STORE)


@framework.put("/painted")
async def save_mask(request: Request) -> Response:
    """Save a mask and a label, unless the entry was changed after it was opened."""
    visitor, dataset = request_visitor(request), _dataset(request)
    ref = request.query_params.get("ref", "")
    limit_bytes = int(visitor.services.limits.image_max_pixels * BODY_SLACK) + HEAD_BYTES
    body = await bounded_body(request, limit_bytes=limit_bytes, subject=say("The mask"))
    await in_thread(_check_allowed, visitor, dataset)
    async with visitor.services.memory.saving_masks:
        entry = await find_entry(visitor, dataset, ref)
        if request.headers.get("if-match", entry.version) != entry.version:
            raise ConflictError(
                say(CHANGED),
                resource_type=ResourceType.DATASET,
                resource_id=f"{dataset.project}/{dataset.type}",
            )
        painted, mask = await in_thread(_stored, visitor, entry, body.content or b"")
        line = _line(visitor, entry, painted, mask)
        await change_entries(visitor, dataset, [line])
    return JSONResponse({"label": painted.label, "version": entry_of(line).version})


async def _view(
    visitor: Visitor, dataset: DatasetKey, parameters: Mapping[str, str]
) -> tuple[str, View]:
    name, ref = parameters.get("view", ""), parameters.get("ref", "")
    view = visitor.services.memory.views.find(name)
    if view is not None and view.dataset == dataset:
        return name, view
    entries = await all_entries(visitor, dataset)
    view = await new_view(visitor, dataset, entries, query_of(parameters))
    if ref and ref not in view.refs:  # such as one that was unlabelled until it was painted on
        await find_entry(visitor, dataset, ref)
        view = View(dataset=dataset, refs=[ref, *view.refs], scores=view.scores)
    if not view.refs:
        raise ValidationError(say("The {title} has no image that this shows.", title=dataset.title))
    return put_under_new_name(visitor.services.memory.views, view), view


async def _types(visitor: Visitor, project: str) -> Sequence[Mapping[str, Any]]:
    return [
        {"name": anomaly_type.name, "color": anomaly_type.color, "used": anomaly_type.used}
        for anomaly_type in await project_types(visitor, project)
    ]


def _dataset(request: Request) -> DatasetKey:
    kind = request.query_params.get("set", "")
    if kind not in set(DatasetType):
        raise ValidationError(f"set must be train or test, not {kind!r:.20}.")
    return DatasetKey(project=request.query_params.get("project", ""), type=DatasetType(kind))


def _packed(visitor: Visitor, entry: Entry) -> bytes:
    header = read_image_header(visitor.read_image_blocking(object_address(entry.ref)))
    width, height = turn_size(header.size, header.orientation)
    head: dict[str, object] = {
        "width": width,
        "height": height,
        "orientation": header.orientation,
        "types": [],
        "label": entry.label,
        "version": entry.version,
    }
    mask = mask_of(entry)
    if mask is None:
        return pack(None, head)
    try:
        types, pixels = stored_pixels(visitor, entry, mask, header)
    except (ImageError, StorageError) as error:
        return pack(
            None, {**head, "problem": say("The stored mask cannot be shown: {error}", error=error)}
        )
    colors = {name: color for color, name in mask.colors.items()}
    shown = [{"name": name, "color": colors[name]} for name in types]
    return pack(turn(pixels, header.orientation), {**head, "types": shown})


def stored_pixels(
    visitor: Visitor, entry: Entry, mask: SetAsideMask, header: ImageHeader
) -> tuple[Sequence[str], NDArray[np.uint8]]:
    """Return the anomaly types of a stored mask and its pixels, as `decode_stored` does.

    Args:
        visitor: who reads it.
        entry: the image.
        mask: its mask.
        header: of the image file.

    Raises:
        ImageError, StorageError: the mask cannot be read.
    """
    return decode_stored(
        visitor.read_image_blocking(object_address(mask.ref)),
        colors=mask.colors,
        size=header.size,
        orientation=header.orientation,
        drawn=_drawn(entry),
    )


def mask_of(entry: Entry) -> SetAsideMask | None:
    """Return the mask of an entry, whether it counts or not."""
    mask = parse_line(entry.line).mask
    if mask is None:
        return entry.set_aside
    return SetAsideMask(ref=str(mask.ref), colors=mask.colors)


def _drawn(entry: Entry) -> MaskOrientation | None:
    mask = parse_line(entry.line).mask
    return MaskOrientation.STORED if mask is None else mask.orientation


def _stored(visitor: Visitor, entry: Entry, data: bytes) -> tuple[PaintedMask, ObjectRef | None]:
    """Check a mask, and write it as a PNG beside the image if anything is painted."""
    image = object_address(entry.ref)
    painted = unpack_upright(data, read_image_header(visitor.read_image_blocking(image)))
    if not painted.types:
        return painted, None
    png = encode_png(painted)
    ref = ObjectRef(bucket=image.bucket, key=key_beside(image.key, png))
    visitor.write_object_blocking(ref, png)
    return painted, ref


def _line(visitor: Visitor, entry: Entry, painted: PaintedMask, mask: ObjectRef | None) -> str:
    """Return the JSON Line of an image that was painted on."""
    line = partial(entry_line, entry.ref, now=visitor.services.clock(), label=painted.label)
    if mask is None:
        return line()
    if painted.set_aside:
        return line(set_aside=SetAsideMask(ref=str(mask), colors=painted.colors))
    return line(mask_ref=str(mask), colors=painted.colors, mask_orientation=MaskOrientation.STORED)


def _check_allowed(visitor: Visitor, dataset: DatasetKey) -> None:
    """Refuse before anything is written into a bucket."""
    visitor.check("UpdateDatasetEntries", **dataset.names, Changes=b"{}")
