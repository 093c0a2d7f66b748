"""Labelled images of another tool, stored in the bucket and made entries of a project."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blemish.console.images.dataset_changes import change_entries, make_missing_dataset
from blemish.console.images.dataset_entries import all_entries
from blemish.console.images.entry import SET_NAMES, DatasetKey, entry_line
from blemish.console.images.folder_labels import object_name
from blemish.console.images.image_bucket import image_bucket
from blemish.console.images.labelled_files import upload_files
from blemish.console.images.labelled_uploads import LabelledUpload
from blemish.console.language.messages import say
from blemish.console.masks.mask_files import is_mask_key, key_beside
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetType, ObjectRef
from blemish.interchange.drafts import DraftEntry
from blemish.interchange.files import DatasetFiles

AT_ONCE = 100
"""Entries of one change of a data set."""


@dataclass(frozen=True, kw_only=True)
class _Import:
    """An import under way."""

    visitor: Visitor
    project: str
    bucket: str
    files: DatasetFiles
    #: images of each data set before
    existing: Mapping[DatasetType, frozenset[str]]


async def add_drafts(
    visitor: Visitor, project: str, upload: LabelledUpload
) -> AsyncIterator[Mapping[str, Any]]:
    """Add images and masks; yield how many are done, then what was added.

    An image that its data set has already gets the new label and mask. An image of the other data
    set is left as it is: a model would be measured by what it learned by heart.

    Raises:
        SignedOutError, ServiceError, ObjectError: it was refused; what was added before stays.
    """
    keys = {kind: DatasetKey(project=project, type=kind) for kind in DatasetType}
    existing = {
        kind: frozenset(entry.ref for entry in await all_entries(visitor, key))
        for kind, key in keys.items()
    }
    bucket = await image_bucket(visitor, project)
    work = _Import(
        visitor=visitor,
        project=project,
        bucket=bucket,
        files=upload_files(upload),
        existing=existing,
    )
    known: list[dict[str, str]] = []
    for start in range(0, len(upload.entries), AT_ONCE):
        batch = upload.entries[start : start + AT_ONCE]
        lines = await in_thread(_store, work, batch, known)
        for kind, added in lines.items():
            await make_missing_dataset(visitor, keys[kind])
            await change_entries(visitor, keys[kind], added)
        yield {"done": start + len(batch), "total": len(upload.entries)}
    yield {"added": len(upload.entries) - len(known), "known": known}


def _store(
    work: _Import, batch: Sequence[DraftEntry], known: list[dict[str, str]]
) -> Mapping[DatasetType, list[str]]:
    """Store images and masks; return the JSON Lines of those that the other data set lacks."""
    lines: defaultdict[DatasetType, list[str]] = defaultdict(list)
    now = work.visitor.services.clock()
    for entry in batch:
        ref = _stored_image(work, entry)
        owner = next((kind for kind, refs in work.existing.items() if str(ref) in refs), entry.kind)
        if owner is not entry.kind:
            known.append(
                {
                    "path": entry.path,
                    "why": say("already in the {set}", set=say(SET_NAMES[owner])),
                }
            )
            continue
        line = entry_line(
            str(ref),
            now=now,
            label=entry.label,
            mask_ref=_stored_mask(work, entry, ref),
            colors=entry.colors,
            mask_orientation=entry.mask_orientation,
        )
        lines[entry.kind].append(line)
    return lines


def _stored_image(work: _Import, entry: DraftEntry) -> ObjectRef:
    """Store an image in a folder named by its content, unless it is there."""
    data = work.files.read_image(entry.path)
    digest = hashlib.sha256(data).hexdigest()
    folder = f"{work.project}/{digest[:32]}/"
    objects = work.visitor.services.objects
    same = next(
        (stored for stored in objects.list(work.bucket, folder) if not is_mask_key(stored.key)),
        None,
    )
    if same is not None:
        return ObjectRef(bucket=work.bucket, key=same.key)
    ref = ObjectRef(bucket=work.bucket, key=folder + object_name(entry.path))
    work.visitor.write_object_blocking(ref, data)
    return ref


def _stored_mask(work: _Import, entry: DraftEntry, image: ObjectRef) -> str | None:
    if entry.mask is None:
        return None
    data = entry.mask.read_bytes()
    ref = ObjectRef(bucket=image.bucket, key=key_beside(image.key, data))
    work.visitor.write_object_blocking(ref, data)
    return str(ref)
