"""Masks of images as browsers lay them over thumbnails.

GET /console/mask-overlay?project=&kind=&ref=&whole=  -> a transparent PNG, small unless it is whole
"""

from __future__ import annotations

from anyio import CapacityLimiter, to_thread
from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import Response

from blemish.console.http import request_visitor
from blemish.console.images.dataset_entries import find_entry
from blemish.console.images.entry import DatasetKey, object_address
from blemish.console.images.image_requests import CACHE_S
from blemish.console.masks.mask_overlays import overlay_png
from blemish.console.masks.painter_requests import mask_of, stored_pixels
from blemish.domain.entities import DatasetType
from blemish.engine.images.headers import read_image_header
from blemish.service.datasets.thumbnail_drawing import SIDE

_threads = CapacityLimiter(2)
"""For drawing a screen full of masks, so that other requests need not wait for it."""


@framework.get("/mask-overlay")
async def mask_overlay(
    request: Request, project: str, kind: DatasetType, ref: str, *, whole: bool = False
) -> Response:
    """Send the mask of an image; its address has the entry's version, so browsers keep it."""
    visitor = request_visitor(request)
    entry = await find_entry(visitor, DatasetKey(project=project, type=kind), ref)
    mask = mask_of(entry)
    if mask is None:
        return Response(status_code=404)

    def draw() -> bytes:
        header = read_image_header(visitor.read_image_blocking(object_address(ref)))
        types, pixels = stored_pixels(visitor, entry, mask, header)
        names = {name: color for color, name in mask.colors.items()}
        colors = {index: names[name] for index, name in enumerate(types, start=1)}
        side = max(header.size) if whole else SIDE
        return overlay_png(pixels, colors, orientation=header.orientation, side=side)

    data = await to_thread.run_sync(draw, limiter=_threads)
    headers = {"Cache-Control": f"private, max-age={CACHE_S}"}
    return Response(data, media_type="image/png", headers=headers)
