"""Images in the buckets, as browsers ask for them: whole, or as thumbnails."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from anyio import CapacityLimiter, to_thread
from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from blemish.console.auth.guard import ROOT
from blemish.console.visitor import SignedOutError, Visitor
from blemish.domain.entities import ObjectRef
from blemish.domain.errors import AccessDeniedError
from blemish.domain.manifest import object_ref
from blemish.engine.images.decode import ImageError, media_type
from blemish.storage.errors import BucketMissingError, ObjectError, ObjectMissingError

CACHE_S = 3_600
"""How long a browser may show an image again without asking."""

_threads = CapacityLimiter(2)
"""A screen full of images to draw must not keep waiting what somebody does meanwhile."""


def thumbnail_url(ref: str) -> str:
    """Return where a browser finds the thumbnail of `s3://bucket/key`, 256 pixels at most."""
    return f"{ROOT}/thumbnail?ref={quote(ref, safe='')}"


def image_url(ref: str) -> str:
    """Return where a browser finds the image `s3://bucket/key` as it is stored."""
    return f"{ROOT}/image?ref={quote(ref, safe='')}"


@framework.get("/thumbnail")
async def thumbnail(request: Request, ref: str) -> Response:
    """Send a thumbnail."""

    def draw(visitor: Visitor, found: ObjectRef) -> tuple[bytes, str]:
        visitor.authorize_here("s3:GetObject", f"arn:aws:s3:::{found.bucket}/{found.key}")
        return visitor.services.thumbnails.of(found), "image/jpeg"

    return await _sent(request, ref, draw)


@framework.get("/image")
async def image(request: Request, ref: str) -> Response:
    """Send an image as it is stored; nothing that a browser would not take for an image."""

    def read(visitor: Visitor, found: ObjectRef) -> tuple[bytes, str]:
        data = visitor.read_image_here(found)
        kind = media_type(data)
        if kind is None:
            raise ImageError(f"{found} is neither a JPEG nor a PNG file.")
        return data, kind

    return await _sent(request, ref, read)


async def _sent(
    request: Request, ref: str, read: Callable[[Visitor, ObjectRef], tuple[bytes, str]]
) -> Response:
    found = object_ref(ref)
    if found is None:
        return PlainTextResponse(f"{ref:.200} is no s3://bucket/key.", status_code=400)
    try:
        data, kind = await to_thread.run_sync(read, request.state.visitor, found, limiter=_threads)
    except SignedOutError as error:
        return PlainTextResponse(str(error), status_code=401)
    except AccessDeniedError as error:
        return PlainTextResponse(error.message, status_code=403)
    except (ObjectMissingError, BucketMissingError) as error:
        return PlainTextResponse(str(error), status_code=404)
    except (ObjectError, ImageError) as error:
        return PlainTextResponse(str(error), status_code=422)
    headers = {"Cache-Control": f"private, max-age={CACHE_S}"}
    return Response(data, media_type=kind, headers=headers)
