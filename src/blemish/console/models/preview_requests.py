"""Heat maps, masks and bundles of models, as browsers ask for them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from urllib.parse import quote, urlencode

from anyio import CapacityLimiter, to_thread
from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from blemish.console.auth.guard import ROOT
from blemish.console.images.image_requests import CACHE_S
from blemish.console.visitor import SignedOutError, Visitor, in_thread
from blemish.domain.errors import AccessDeniedError, ResourceNotFoundError, ServiceError
from blemish.domain.manifest import object_ref
from blemish.engine.bundle import bundle_files
from blemish.engine.errors import EngineError
from blemish.engine.images.decode import ImageError
from blemish.service.detection.previews import Preview
from blemish.storage.errors import BucketMissingError, ObjectMissingError, StorageError

PACKAGING = "StartModelPackagingJob"
"""Operation whose permission a download needs: whoever may package a model may take it along."""

PROBLEMS: tuple[tuple[tuple[type[Exception], ...], int], ...] = (
    ((SignedOutError,), 401),
    ((AccessDeniedError,), 403),
    ((ResourceNotFoundError, ObjectMissingError, BucketMissingError), 404),
    ((ServiceError, EngineError, ImageError, StorageError), 422),
)
"""How an answer tells what went wrong; the first that fits."""

EXPECTED = tuple(kind for kinds, _ in PROBLEMS for kind in kinds)

_judging = CapacityLimiter(1)
"""Images are judged one at a time, in a thread that no page waits for."""


def heat_map_url(project: str, version: str, ref: str, *, threshold: float | None) -> str:
    """Return where a browser finds the heat map of an image; another one at each threshold."""
    return _url("heat-map", project, version, ref, threshold)


def mask_url(project: str, version: str, ref: str, *, threshold: float | None) -> str:
    """Return where a browser finds the mask that a model makes of an image."""
    return _url("mask", project, version, ref, threshold)


def bundle_url(project: str, version: str) -> str:
    """Return where a browser finds the bundle of a model."""
    return f"{ROOT}/bundle?{urlencode({'project': project, 'version': version})}"


@framework.get("/heat-map")
async def heat_map(request: Request, project: str, version: str, ref: str) -> Response:
    """Send a heat map."""
    return await _drawn(request, project, version, ref, lambda preview: preview.heat_map)


@framework.get("/mask")
async def mask(request: Request, project: str, version: str, ref: str) -> Response:
    """Send a mask."""
    return await _drawn(request, project, version, ref, lambda preview: preview.mask)


@framework.get("/bundle")
async def bundle(request: Request, project: str, version: str) -> Response:
    """Send a bundle as a ZIP file: model.onnx, bundle.json and their checksums.

    It needs what `blemish export` is for people elsewhere: to see the model
    (lookoutvision:DescribeModel), and to package it (lookoutvision:StartModelPackagingJob).
    """

    def pack(visitor: Visitor) -> bytes:
        check_download(visitor, project, version)
        files = bundle_files(visitor.services.previews.bundle(project, version))
        output = io.BytesIO()
        with zipfile.ZipFile(output, "w") as packed:  # the weights do not get smaller
            for name, data in files.items():
                packed.writestr(name, data)
        return output.getvalue()

    try:
        data = await in_thread(pack, request.state.visitor)
    except EXPECTED as error:
        return _problem(error)
    name = quote(f"{project}-{version}.zip")
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Cache-Control": "no-store",
    }
    return Response(data, media_type="application/zip", headers=headers)


def check_download(visitor: Visitor, project: str, version: str) -> None:
    """Allow who may package a model to download its bundle.

    Raises:
        SignedOutError: the session is over.
        AccessDeniedError: the policies do not allow it.
    """
    for operation in ("DescribeModel", PACKAGING):
        visitor.check_here(operation, ProjectName=project, ModelVersion=version)


async def _drawn(
    request: Request,
    project: str,
    version: str,
    ref: str,
    part: Callable[[Preview], bytes | None],
) -> Response:
    found = object_ref(ref)
    if found is None:
        return PlainTextResponse(f"{ref:.200} is no s3://bucket/key.", status_code=400)
    visitor: Visitor = request.state.visitor

    def check() -> None:
        visitor.check_here("DetectAnomalies", ProjectName=project, ModelVersion=version)
        visitor.authorize_here("s3:GetObject", f"arn:aws:s3:::{found.bucket}/{found.key}")

    try:
        await in_thread(check)
        preview = await to_thread.run_sync(
            visitor.services.previews.of, project, version, found, limiter=_judging
        )
    except EXPECTED as error:
        return _problem(error)
    image = part(preview)
    if image is None:
        return PlainTextResponse("A model without anomaly types makes no mask.", status_code=404)
    headers = {"Cache-Control": f"private, max-age={CACHE_S}"}
    return Response(image, media_type="image/png", headers=headers)


def _problem(error: Exception) -> Response:
    status = next(status for kinds, status in PROBLEMS if isinstance(error, kinds))
    return PlainTextResponse(str(error), status_code=status)


def _url(kind: str, project: str, version: str, ref: str, threshold: float | None) -> str:
    query = {"project": project, "version": version, "ref": ref, "at": f"{threshold or 0:.9g}"}
    return f"{ROOT}/{kind}?{urlencode(query)}"
