"""The data sets of a project as a ZIP archive, written while it is sent.

GET /console/export/PROJECT?format=coco
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from urllib.parse import quote, urlencode

from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from blemish.console.http import request_visitor
from blemish.console.images.dataset_entries import all_entries
from blemish.console.images.entry import DatasetKey
from blemish.console.language.messages import say
from blemish.console.paths import ROOT
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType, ObjectRef
from blemish.domain.errors import ValidationError
from blemish.interchange.archives import DatasetArchive
from blemish.interchange.exports import ALL, check_export_format, export_archive
from blemish.interchange.labelled import InterchangeError
from blemish.storage.errors import ObjectError


def export_url(project: str, format_name: str) -> str:
    """Return where a browser finds the archive of a project in a format."""
    return f"{ROOT}/export/{quote(project, safe='')}?{urlencode({'format': format_name})}"


@framework.get("/export/{project}")
async def export_project(request: Request, project: str) -> Response:
    """Send all images of a project with their labels and masks."""
    visitor = request_visitor(request)
    format_name = request.query_params.get("format", ALL)
    try:
        check_export_format(format_name)
    except InterchangeError as error:
        raise ValidationError(str(error)) from None
    lines = [
        (kind, entry.line)
        for kind in DatasetType
        for entry in await all_entries(visitor, DatasetKey(project=project, type=kind))
    ]
    if not lines:
        raise ValidationError(
            say("The project {project} has no images.", project=f"{project:.300}")
        )
    now = visitor.services.clock()
    chunks = export_archive(
        lines,
        format_name=format_name,
        read=partial(_read, visitor),
        archive=DatasetArchive(now=now),
        now=now,
    )
    file = f"{project}-{format_name}.zip"
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file)}",
        "Cache-Control": "no-store",
    }
    return StreamingResponse(_chunks(chunks), media_type="application/zip", headers=headers)


async def _chunks(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (chunk := await in_thread(_next, chunks)) is not None:
        if chunk:
            yield chunk


def _next(chunks: Iterator[bytes]) -> bytes | None:
    return next(chunks, None)


def _read(visitor: Visitor, ref: ObjectRef) -> bytes:
    try:
        return visitor.read_image_blocking(ref)
    except ObjectError as error:
        raise InterchangeError(str(error)) from None
