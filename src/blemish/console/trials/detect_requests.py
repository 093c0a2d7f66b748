"""Images that a page sends to be judged, one by one.

Each is answered with JSON, also where something is wrong with the image: `problem` is then what
its person is told, `again_s` how long the page is to wait before it sends it once more.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import quote

from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import JSONResponse

from blemish.console.auth.guard import ROOT
from blemish.console.ui.frame import TELLING, project_path
from blemish.console.visitor import SignedOutError, Visitor
from blemish.domain.entities import DatasetType
from blemish.domain.errors import ThrottlingError, ValidationError
from blemish.domain.palette import BACKGROUND
from blemish.engine.images.decode import media_type
from blemish.engine.images.png import png_chunk

MIB = 1024 * 1024

HEADER_BYTES = 33
"""Of a PNG file: the signature and the chunk IHDR."""


def judge_url(project: str, version: str) -> str:
    """Return where a page sends an image that a model is to judge."""
    return f"{ROOT}{project_path(project)}/judged/{quote(version, safe='')}"


def keep_url(project: str) -> str:
    """Return where a page sends an image that is to be kept in the project's bucket."""
    return f"{ROOT}/upload/{quote(project, safe='')}/{DatasetType.TRAIN}"


@framework.post("/projects/{project}/judged/{version}")
async def judge(request: Request, project: str, version: str) -> JSONResponse:
    """Have an image judged."""
    return await _told(_judged(request, project, version))


def without_background(png: bytes) -> bytes:
    """Make the background of an anomaly mask transparent, so that it can be laid over an image.

    The mask is an RGB PNG, in which one more chunk names the colour that is not to be seen.

    Source: PNG specification, section 11.3.2.1, tRNS.
    """
    red, green, blue = bytes.fromhex(BACKGROUND.removeprefix("#"))
    chunk = png_chunk(b"tRNS", struct.pack(">HHH", red, green, blue))
    return png[:HEADER_BYTES] + chunk + png[HEADER_BYTES:]


async def _judged(request: Request, project: str, version: str) -> Mapping[str, Any]:
    data = await _body(request)
    answer = await _visitor(request).call(
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
                "name": each["Name"],
                "share": each["PixelAnomaly"]["TotalPercentageArea"],
                "color": each["PixelAnomaly"]["Color"],
            }
            for each in result.get("Anomalies") or ()
            if each["Name"] != "background"
        ],
    }


async def _body(request: Request) -> bytes:
    most = _visitor(request).services.limits.detect_body_bytes
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise ValidationError(f"It is larger than {most // MIB} MiB, the most for an image.")
    return bytes(body)


async def _told(answer: Awaitable[Mapping[str, Any]]) -> JSONResponse:
    try:
        return JSONResponse(await answer)
    except SignedOutError as error:
        return JSONResponse({"problem": str(error)}, status_code=401)
    except ThrottlingError as error:
        return JSONResponse({"problem": error.message, "again_s": error.retry_after_s})
    except TELLING as error:
        return JSONResponse({"problem": str(error)})


def _visitor(request: Request) -> Visitor:
    visitor: Visitor = request.state.visitor
    return visitor


def _data_url(png: bytes | None) -> str | None:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}" if png else None
