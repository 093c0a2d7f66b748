"""Images that a page sends to a running model, one request each.

A request for an image that cannot be used, or that the model has no room for, succeeds: `problem`
in its answer is a sentence for people, and `again_s` says how long the page waits before it sends
the image once more.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from nicegui import app as framework
from starlette.requests import Request

from blemish.console.http import IMAGE_REFUSALS, bounded_body, image_problem, request_visitor
from blemish.console.language.messages import say
from blemish.console.paths import ROOT, project_path
from blemish.domain.entities import DatasetType
from blemish.domain.palette import BACKGROUND, BACKGROUND_CLASS
from blemish.engine.images.decode import media_type
from blemish.engine.images.png import png_chunk

HEADER_BYTES = 33
"""Of a PNG file: the signature and the chunk IHDR."""


def detect_url(project: str, version: str) -> str:
    """Return where a page sends an image for a detection."""
    return f"{ROOT}{project_path(project)}/detections/{quote(version, safe='')}"


def upload_url(project: str) -> str:
    """Return where a page sends an image to be stored in the project's bucket."""
    return f"{ROOT}/upload/{quote(project, safe='')}/{DatasetType.TRAIN}"


@framework.post("/projects/{project}/detections/{version}")
async def detect_image(request: Request, project: str, version: str) -> Mapping[str, Any]:
    """Answer with what a model detects in an image."""
    try:
        return await _detection(request, project, version)
    except IMAGE_REFUSALS as error:
        return image_problem(error)


def without_background(png: bytes) -> bytes:
    """Make the background of an anomaly mask transparent, so that the image below shows.

    The mask is an RGB PNG, in which one more chunk names the transparent colour.

    Source: PNG specification, section 11.3.2.1, tRNS.
    """
    red, green, blue = bytes.fromhex(BACKGROUND.removeprefix("#"))
    chunk = png_chunk(b"tRNS", struct.pack(">HHH", red, green, blue))
    return png[:HEADER_BYTES] + chunk + png[HEADER_BYTES:]


async def _detection(request: Request, project: str, version: str) -> Mapping[str, Any]:
    visitor = request_visitor(request)
    limit_bytes = visitor.services.limits.detect_body_bytes
    body = await bounded_body(request, limit_bytes=limit_bytes, subject=say("The image"))
    data = body.content or b""
    answer = await visitor.call(
        "DetectAnomalies",
        ProjectName=project,
        ModelVersion=version,
        ContentType=media_type(data) or "image/jpeg",
        Body=data,
        HeatMap=True,
    )
    result = answer["DetectAnomalyResult"]
    mask = result.get("AnomalyMask")
    return {
        "anomalous": result["IsAnomalous"],
        "confidence": result["Confidence"],
        "score": result["AnomalyScore"],
        "threshold": result["Threshold"],
        "heatMap": _data_url(result["HeatMap"]),
        "mask": _data_url(mask and without_background(mask)),
        "types": [
            {
                "name": anomaly["Name"],
                "share": anomaly["PixelAnomaly"]["TotalPercentageArea"],
                "color": anomaly["PixelAnomaly"]["Color"],
            }
            for anomaly in result.get("Anomalies") or ()
            if anomaly["Name"] != BACKGROUND_CLASS
        ],
    }


def _data_url(png: bytes | None) -> str | None:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}" if png else None
