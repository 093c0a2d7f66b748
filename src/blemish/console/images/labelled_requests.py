"""A folder or a ZIP archive with labels of another tool, as the page Add images sends it.

POST /console/labelled/PROJECT                       begins: {"upload": NAME}
PUT /console/labelled/PROJECT/NAME?path=a/b.json     a file is the body
POST /console/labelled/PROJECT/NAME/read             checks all: what it would add
POST /console/labelled/PROJECT/NAME/add              adds: JSON Lines of the progress
DELETE /console/labelled/PROJECT/NAME                forgets it
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, open_file, to_thread
from nicegui import app as framework
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from blemish.console.http import EXPECTED, problem_text, request_visitor
from blemish.console.images.labelled_files import upload_files
from blemish.console.images.labelled_import import add_drafts
from blemish.console.images.labelled_uploads import LabelledUpload
from blemish.console.language.messages import say
from blemish.console.language.numbers import number_text
from blemish.console.visitor import Visitor
from blemish.domain.entities import DatasetType
from blemish.interchange.drafts import anomaly_types, draft_entries, read_dataset
from blemish.interchange.labelled import InterchangeError
from blemish.storage.errors import StoreFullError
from blemish.wire.errors import RequestEntityTooLargeError
from blemish.wire.request_body import BodyMessages

MAX_ZIP_BYTES = 100 * 1024**3
"""Of an archive; the disk is usually full before."""

_threads = CapacityLimiter(1)
"""For reading and drawing, so that pages need not wait for it."""


@framework.post("/labelled/{project}")
async def begin_upload(request: Request, project: str) -> Mapping[str, str]:
    """Begin an upload."""
    visitor = request_visitor(request)
    await _check(visitor, project)
    staging = visitor.services.directory.staging
    uploads = visitor.services.memory.labelled_uploads
    return {"upload": uploads.begin(staging, owner=visitor.token, project=project)}


@framework.put("/labelled/{project}/{name}")
async def take_file(request: Request, project: str, name: str, path: str) -> Mapping[str, int]:
    """Store one file."""
    visitor = request_visitor(request)
    upload = _upload(visitor, project, name)
    is_zip = path.lower().endswith(".zip")
    limit = MAX_ZIP_BYTES if is_zip else 2 * visitor.services.limits.detect_body_bytes
    file = visitor.services.memory.labelled_uploads.new_file(upload, path)
    try:
        return {"bytes": await _take(request, file, path, limit)}
    except OSError as error:
        raise StoreFullError(
            say(
                "{path} cannot be stored: {strerror}.", path=f"{path:.300}", strerror=error.strerror
            )
        ) from None


@framework.post("/labelled/{project}/{name}/read")
async def read_upload(request: Request, project: str, name: str) -> Mapping[str, Any]:
    """Read and check everything; say what would be added, or what is wrong."""
    visitor = request_visitor(request)
    upload = _upload(visitor, project, name)
    format_name = request.query_params.get("format") or None
    return await to_thread.run_sync(_read, upload, format_name, limiter=_threads)


@framework.post("/labelled/{project}/{name}/add")
async def add_upload(request: Request, project: str, name: str) -> Response:
    """Add what was read."""
    visitor = request_visitor(request)
    upload = _upload(visitor, project, name)
    await _check(visitor, project)
    lines = _progress(visitor, project, name, upload)
    return StreamingResponse(lines, media_type="application/x-ndjson")


@framework.delete("/labelled/{project}/{name}")
async def end_upload(request: Request, project: str, name: str) -> Mapping[str, str]:
    """Forget an upload."""
    visitor = request_visitor(request)
    _upload(visitor, project, name)
    uploads, staging = visitor.services.memory.labelled_uploads, visitor.services.directory.staging
    await to_thread.run_sync(uploads.end, name, staging, limiter=_threads)
    return {}


def _upload(visitor: Visitor, project: str, name: str) -> LabelledUpload:
    uploads = visitor.services.memory.labelled_uploads
    return uploads.upload(name, owner=visitor.token, project=project)


async def _check(visitor: Visitor, project: str) -> None:
    """Refuse visitors who may not add images.

    Raises:
        AccessDeniedError: the policies do not allow it.
    """
    for kind in DatasetType:
        names = {"ProjectName": project, "DatasetType": str(kind)}
        await to_thread.run_sync(
            lambda names: visitor.check("UpdateDatasetEntries", **names), names
        )


async def _take(request: Request, file: Path, path: str, limit_bytes: int) -> int:
    """Write the body of a request into a file; return its size."""
    size, more = 0, True
    messages = BodyMessages(request.receive)
    async with await open_file(file, "wb") as output:
        while more:
            message = await messages.next_message()
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit_bytes:
                raise RequestEntityTooLargeError(
                    say(
                        "{path} is too large: at most {limit_bytes} bytes are allowed.",
                        path=f"{path:.300}",
                        limit_bytes=number_text(limit_bytes),
                    )
                )
            await output.write(chunk)
            more = message.get("more_body", False)
    return size


def _read(upload: LabelledUpload, format_name: str | None) -> Mapping[str, Any]:
    try:
        files = upload_files(upload)
        dataset = read_dataset(files, format_name=format_name)
        entries = draft_entries(files, dataset, folder=upload.folder / "masks")
        types = list(anomaly_types(dataset.images))
    except InterchangeError as error:
        return {"problem": str(error)}
    except OSError as error:
        raise StoreFullError(
            say("The masks cannot be stored: {strerror}.", strerror=error.strerror)
        ) from None
    upload.entries = entries
    groups = Counter((str(entry.kind), str(entry.label or "")) for entry in entries)
    return {
        "format": dataset.format.name,
        "title": dataset.format.title,
        "others": [{"name": other.name, "title": other.title} for other in dataset.others],
        "images": len(entries),
        "masks": sum(entry.mask is not None for entry in entries),
        "groups": [
            {"kind": kind, "label": label, "count": count}
            for (kind, label), count in sorted(groups.items(), reverse=True)
        ],
        "types": types,
        "notes": dataset.notes.sentences(),
    }


async def _progress(
    visitor: Visitor, project: str, name: str, upload: LabelledUpload
) -> AsyncIterator[bytes]:
    """Yield how far an import is, and in the end what it did, as JSON Lines."""
    try:
        async for state in add_drafts(visitor, project, upload):
            yield _line(state)
    except InterchangeError as error:
        yield _line({"problem": str(error)})
        return
    except EXPECTED as error:
        yield _line({"problem": problem_text(error)})
        return
    uploads, staging = visitor.services.memory.labelled_uploads, visitor.services.directory.staging
    await to_thread.run_sync(uploads.end, name, staging, limiter=_threads)


def _line(state: Mapping[str, Any]) -> bytes:
    return json.dumps(state).encode() + b"\n"
