"""Verified images of a line on their way into a dataset of its project."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from urllib.parse import urlencode

from blemish.console.images.add_entries import add_entries
from blemish.console.images.entry import DatasetKey
from blemish.console.images.folder_labels import ImportCandidate
from blemish.console.images.image_bucket import image_bucket
from blemish.console.images.upload_requests import UploadedImage, store_upload
from blemish.console.language.messages import say
from blemish.console.paths import ROOT, project_path
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType, Label
from blemish.domain.errors import ConflictError, ResourceType
from blemish.line.line import Line
from blemish.line.reviews import VerifiedImage


async def add_reviewed(
    visitor: Visitor, line: Line, images: Sequence[VerifiedImage], kind: DatasetType
) -> dict[str, str]:
    """Store images in the project's bucket, and make them entries; return their addresses by id.

    A repetition after a failure adds nothing twice: an image has the same address again.

    Raises:
        ConflictError: the records removed an image, or a training could not use it.
        SignedOutError, ServiceError: it was refused.
    """
    bucket = await image_bucket(visitor, line.project)
    refs, candidates = {}, []
    for image in images:
        name, data = await in_thread(_read, line, image.id)
        upload = UploadedImage(
            dataset=DatasetKey(project=line.project, type=kind),
            path=name,
            data=data,
            sha256=hashlib.sha256(data).hexdigest(),
        )
        stored = await in_thread(store_upload, visitor, bucket, upload)
        if "ref" not in stored:
            raise _refusal(
                line, say("{name} cannot be added: {problem}", name=name, problem=stored["problem"])
            )
        refs[image.id] = str(stored["ref"])
        label = Label.ANOMALY if image.is_anomalous else Label.NORMAL
        candidates.append(ImportCandidate(path=name, ref=refs[image.id], kind=kind, label=label))
    await add_entries(visitor, line.project, candidates)
    await in_thread(line.reviews.added, list(refs), str(kind))
    return refs


def painter_address(project: str, ref: str) -> str:
    """Return where a person paints the mask of an image of the training set."""
    query = urlencode({"set": DatasetType.TRAIN, "ref": ref})
    return f"{ROOT}{project_path(project, f'/paint?{query}')}"


def _read(line: Line, verdict_id: str) -> tuple[str, bytes]:
    entry = line.history.entry(verdict_id)
    path = None if entry is None else entry.verdict.image_path
    try:
        data = path.read_bytes() if path else None
    except FileNotFoundError:
        data = None
    if entry is None or path is None or data is None:
        raise _refusal(
            line, say("The records of the line removed the image. Raise image_budget_mb.")
        )
    stem = entry.verdict.image_name.rsplit("/", 1)[-1].rsplit(".", 1)[0] or "image"
    return f"{stem}{path.suffix}", data


def _refusal(line: Line, message: str) -> ConflictError:
    return ConflictError(message, resource_type=ResourceType.LINE, resource_id=line.name)
