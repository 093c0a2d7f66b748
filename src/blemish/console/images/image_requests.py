"""Images in the buckets, as browsers ask for them: whole, or as thumbnails."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from anyio import CapacityLimiter, to_thread
from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import Response

from blemish.console.http import request_visitor
from blemish.console.images.entry import object_address
from blemish.console.paths import ROOT
from blemish.console.visitor import Visitor
from blemish.domain.entities import ObjectRef
from blemish.service.datasets.thumbnail_drawing import browser_image

CACHE_S = 3_600
"""How long a browser may show an image again without asking."""

_threads = CapacityLimiter(2)
"""For drawing a screen full of images, so that other requests need not wait for it."""


def thumbnail_url(ref: str) -> str:
    """Return where a browser finds the thumbnail of `s3://bucket/key`, 256 pixels at most."""
    return f"{ROOT}/thumbnail?ref={quote(ref, safe='')}"


def image_url(ref: str) -> str:
    """Return where a browser finds the image `s3://bucket/key` as it is stored."""
    return f"{ROOT}/image?ref={quote(ref, safe='')}"


@framework.get("/thumbnail")
async def thumbnail(request: Request, ref: str) -> Response:
    """Send a thumbnail."""

    def draw(visitor: Visitor, address: ObjectRef) -> tuple[bytes, str]:
        with visitor.object_access("s3:GetObject", address):
            return visitor.services.thumbnails.of(address), "image/jpeg"

    return await _image_response(request, ref, draw)


@framework.get("/image")
async def image(request: Request, ref: str) -> Response:
    """Send an image as it is stored, or as PNG if browsers do not show it rightly."""

    def read(visitor: Visitor, address: ObjectRef) -> tuple[bytes, str]:
        return browser_image(visitor.read_image_blocking(address))

    return await _image_response(request, ref, read)


async def _image_response(
    request: Request, ref: str, read: Callable[[Visitor, ObjectRef], tuple[bytes, str]]
) -> Response:
    data, kind = await to_thread.run_sync(
        read, request_visitor(request), object_address(ref), limiter=_threads
    )
    headers = {"Cache-Control": f"private, max-age={CACHE_S}"}
    return Response(data, media_type=kind, headers=headers)
