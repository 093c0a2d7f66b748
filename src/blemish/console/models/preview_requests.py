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

from blemish.console.http import request_visitor
from blemish.console.images.entry import object_address
from blemish.console.images.image_requests import CACHE_S
from blemish.console.language.messages import say
from blemish.console.paths import ROOT
from blemish.console.visitor import Visitor, in_thread
from blemish.engine.bundle import bundle_files
from blemish.service.detection.previews import Preview

PACKAGING = "StartModelPackagingJob"
"""The operation whose permission a download needs: a package holds the model as well."""

_detecting = CapacityLimiter(1)
"""Images are scored one at a time, in a thread that no page waits for."""


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

    The visitor needs the permissions to see the model (lookoutvision:DescribeModel) and to package
    it (lookoutvision:StartModelPackagingJob).
    """

    def pack(visitor: Visitor) -> bytes:
        names = {"ProjectName": project, "ModelVersion": version}
        with visitor.download("DownloadModelBundle", **names):
            check_download(visitor, project, version)
            files = bundle_files(visitor.services.previews.bundle(project, version))
        output = io.BytesIO()
        with zipfile.ZipFile(output, "w") as packed:  # the weights do not get smaller
            for name, data in files.items():
                packed.writestr(name, data)
        return output.getvalue()

    data = await in_thread(pack, request_visitor(request))
    name = quote(f"{project}-{version}.zip")
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Cache-Control": "no-store",
    }
    return Response(data, media_type="application/zip", headers=headers)


def check_download(visitor: Visitor, project: str, version: str) -> None:
    """Allow visitors who may package a model to download its bundle.

    Raises:
        SignedOutError: the session is over.
        AccessDeniedError: the policies do not allow it.
    """
    for operation in ("DescribeModel", PACKAGING):
        visitor.check(operation, ProjectName=project, ModelVersion=version)


async def _drawn(
    request: Request,
    project: str,
    version: str,
    ref: str,
    part: Callable[[Preview], bytes | None],
) -> Response:
    address, visitor = object_address(ref), request_visitor(request)

    def check() -> None:
        visitor.check("DetectAnomalies", ProjectName=project, ModelVersion=version)
        with visitor.object_access("s3:GetObject", address):
            pass  # the preview reads it

    await in_thread(check)
    preview = await to_thread.run_sync(
        visitor.services.previews.of, project, version, address, limiter=_detecting
    )
    image = part(preview)
    if image is None:
        return PlainTextResponse(
            say("A model without anomaly types makes no mask."), status_code=404
        )
    headers = {"Cache-Control": f"private, max-age={CACHE_S}"}
    return Response(image, media_type="image/png", headers=headers)


def _url(kind: str, project: str, version: str, ref: str, threshold: float | None) -> str:
    query = {"project": project, "version": version, "ref": ref, "at": f"{threshold or 0:.9g}"}
    return f"{ROOT}/{kind}?{urlencode(query)}"
