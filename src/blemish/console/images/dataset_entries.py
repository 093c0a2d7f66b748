"""The entries of a project's data sets, as pages read and change them: through the API's gates."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from blemish.console.services import Services
from blemish.console.visitor import Visitor, in_thread
from blemish.domain.entities import DatasetStatus, DatasetType, Label, ObjectRef
from blemish.domain.errors import ConflictError, ResourceNotFoundError, ValidationError
from blemish.domain.manifest import CLASSIFICATION, SEGMENTATION, object_ref, parse_line
from blemish.domain.palette import BACKGROUND, BACKGROUND_CLASS
from blemish.service.datasets.datasets import EntryFilter

CHANGE_BYTES = 8 * 1024 * 1024
"""Of JSON Lines in one change; the API takes 10 MiB."""

REMOVAL_ENTRIES = 1_000
"""Addresses in one removal, as many as the API takes."""

PAGE = 5_000
"""Entries that are read at once."""

POLL_S = 0.05
"""Between two looks at a data set that is being changed; longer after each, up to a second."""

BUSY = frozenset(
    {
        DatasetStatus.CREATE_IN_PROGRESS,
        DatasetStatus.UPDATE_IN_PROGRESS,
        DatasetStatus.UPDATE_FAILED_ROLLBACK_IN_PROGRESS,
        DatasetStatus.DELETE_IN_PROGRESS,
    }
)
FAILED = frozenset({DatasetStatus.CREATE_FAILED, DatasetStatus.UPDATE_FAILED_ROLLBACK_COMPLETE})

MAX_CACHED = 8
"""Data sets whose entries are kept in memory."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One image of a data set, with what is said of it."""

    #: `s3://bucket/key`
    ref: str
    label: Label | None
    #: address of its anomaly mask; None without one
    mask_ref: str | None
    #: "#RRGGBB" -> anomaly type, of the mask, the background left out
    colors: Mapping[str, str]
    created_at: datetime | None
    #: the JSON Line
    line: str

    @property
    def types(self) -> frozenset[str]:
        """The anomaly types that its mask may show."""
        return frozenset(self.colors.values())

    @property
    def name(self) -> str:
        """What people call it: the end of its key."""
        return self.ref.rsplit("/", 1)[-1]


_cached: OrderedDict[tuple[object, ...], Sequence[Entry]] = OrderedDict()


async def all_entries(visitor: Visitor, project: str, kind: str) -> Sequence[Entry]:
    """Return the entries of a data set in their order; none if there is no such data set.

    They are read and parsed once after each change.

    Raises:
        SignedOutError: the session is over.
        AccessDeniedError: the policies do not let the visitor list them.
    """
    try:
        return await in_thread(_all_entries, visitor, project, DatasetType(kind))
    except ResourceNotFoundError:
        return ()


async def change(visitor: Visitor, project: str, kind: str, lines: Iterable[str]) -> None:
    """Add or replace entries by JSON Lines, and wait until that is done.

    Raises:
        SignedOutError: the session is over.
        ServiceError: it was refused, or undone; what was applied before the failure stays.
    """
    for piece in _pieces(lines):
        await _apply(visitor, "UpdateDatasetEntries", project, kind, Changes=piece)


async def remove(visitor: Visitor, project: str, kind: str, refs: Sequence[str]) -> None:
    """Remove the entries of images, and wait until that is done; the images stay.

    Raises:
        SignedOutError, ServiceError: as `change`.
    """
    for start in range(0, len(refs), REMOVAL_ENTRIES):
        piece = list(refs[start : start + REMOVAL_ENTRIES])
        await _apply(visitor, "DeleteDatasetEntries", project, kind, SourceRefs=piece)


async def settled(visitor: Visitor, project: str, kind: str) -> DatasetStatus:
    """Wait until nobody works on a data set; return its status.

    Raises:
        ValidationError: what was worked on failed; with the reason.
    """
    pause_s = POLL_S
    while True:
        answer = await visitor.call("DescribeDataset", ProjectName=project, DatasetType=kind)
        found = answer["DatasetDescription"]
        status = DatasetStatus(found["Status"])
        if status in FAILED:
            raise ValidationError(found["StatusMessage"])
        if status not in BUSY:
            return status
        await asyncio.sleep(pause_s)
        pause_s = min(1.0, 2 * pause_s)


async def image_bucket(visitor: Visitor, project: str) -> str:
    """Return the bucket for what people bring: that of the project's images, or the console's.

    Raises:
        AccessDeniedError: it has to be made, and the policies do not allow that.
        ObjectError: it cannot be made.
    """
    return await in_thread(_image_bucket, visitor, project)


def entry_line(
    ref: str,
    *,
    now: datetime,
    label: Label | str | None = None,
    mask_ref: str | None = None,
    colors: Mapping[str, str] | None = None,
) -> str:
    """Return the JSON Line of an image.

    Args:
        ref: address of the image.
        now: when it is labelled.
        label: normal, anomaly or none.
        mask_ref: address of its anomaly mask.
        colors: "#RRGGBB" -> anomaly type, of the mask.
    """
    made = {
        "human-annotated": "yes",
        "creation-date": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    line: dict[str, object] = {"source-ref": ref}
    if label is not None:
        line["anomaly-label"] = int(label == Label.ANOMALY)
        line["anomaly-label-metadata"] = {
            "class-name": str(label),
            "confidence": 1.0,
            "type": CLASSIFICATION,
            "job-name": "labeling-job/console",
            **made,
        }
    if mask_ref is not None:
        classes = [(BACKGROUND, BACKGROUND_CLASS), *(colors or {}).items()]
        line["anomaly-mask-ref"] = mask_ref
        line["anomaly-mask-ref-metadata"] = {
            "internal-color-map": {
                str(index): {"class-name": name, "hex-color": color, "confidence": 0.0}
                for index, (color, name) in enumerate(classes)
            },
            "type": SEGMENTATION,
            "job-name": "labeling-job/console",
            **made,
        }
    return json.dumps(line, ensure_ascii=False)


async def _apply(
    visitor: Visitor, operation: str, project: str, kind: str, **members: object
) -> None:
    while True:
        await _free(visitor, project, kind)
        try:
            await visitor.call(operation, ProjectName=project, DatasetType=kind, **members)
        except ConflictError:
            if await _free(visitor, project, kind):  # nobody was in between: it is refused
                raise
            continue
        await settled(visitor, project, kind)
        return


async def _free(visitor: Visitor, project: str, kind: str) -> bool:
    """Wait while others change a data set; tell whether none had to be waited for."""
    free = True
    while True:
        answer = await visitor.call("DescribeDataset", ProjectName=project, DatasetType=kind)
        if answer["DatasetDescription"]["Status"] not in BUSY:
            return free
        free = False
        await asyncio.sleep(POLL_S)


def _pieces(lines: Iterable[str]) -> Iterator[bytes]:
    piece: list[bytes] = []
    size = 0
    for line in lines:
        data = line.encode() + b"\n"
        if piece and size + len(data) > CHANGE_BYTES:
            yield b"".join(piece)
            piece, size = [], 0
        piece.append(data)
        size += len(data)
    if piece:
        yield b"".join(piece)


def _all_entries(visitor: Visitor, project: str, kind: DatasetType) -> Sequence[Entry]:
    visitor.check_here("ListDatasetEntries", ProjectName=project, DatasetType=kind)
    services = visitor.services
    dataset, _ = services.datasets.describe(project, kind)
    key = (id(services), dataset.id, dataset.updated_at, dataset.status)
    found = _cached.get(key)
    if found is None:
        found = tuple(map(_entry, _lines(services, project, kind)))
        if dataset.status not in BUSY:
            _cached[key] = found
            while len(_cached) > MAX_CACHED:
                _cached.popitem(last=False)
    return found


def _lines(services: Services, project: str, kind: DatasetType) -> Iterator[str]:
    token: str | None = None
    while True:
        page, token = services.datasets.entries(
            project, kind, wanted=EntryFilter(), token=token, limit=PAGE
        )
        yield from page
        if token is None:
            return


def _entry(line: str) -> Entry:
    entry = parse_line(line)
    colors = entry.mask.colors if entry.mask else {}
    return Entry(
        ref=str(entry.image),
        label=entry.label,
        mask_ref=str(entry.mask.ref) if entry.mask else None,
        colors={color: name for color, name in colors.items() if name != BACKGROUND_CLASS},
        created_at=entry.created_at,
        line=line,
    )


def _image_bucket(visitor: Visitor, project: str) -> str:
    services = visitor.services
    for kind in DatasetType:
        try:
            dataset, _ = services.datasets.describe(project, kind)
        except ResourceNotFoundError:
            continue
        if dataset.image_bucket is not None:
            return dataset.image_bucket
    bucket = f"lookoutvision-{services.region}-console"
    if not services.objects.has_bucket(bucket):
        visitor.authorize_here("s3:CreateBucket", f"arn:aws:s3:::{bucket}")
        services.make_bucket(bucket)
    return bucket


def object_of(ref: str) -> ObjectRef:
    """Return the object that `s3://bucket/key` names.

    Raises:
        ValidationError: it names none.
    """
    found = object_ref(ref)
    if found is None:
        raise ValidationError(f"{ref!r:.300} is no s3://bucket/key.")
    return found
