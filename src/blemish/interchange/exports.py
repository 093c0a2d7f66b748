"""The entries of a project's datasets as an archive of one format, or of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from blemish.domain.entities import DatasetEntry, DatasetType, Label, ObjectRef
from blemish.domain.manifest import parse_line
from blemish.domain.palette import BACKGROUND_CLASS
from blemish.engine.images.formats import ImageError
from blemish.engine.images.headers import read_image_header
from blemish.engine.images.masks import decode_mask
from blemish.interchange.archives import (
    DatasetArchive,
    DatasetWriter,
    ExportImage,
    archive_chunks,
)
from blemish.interchange.labelled import InterchangeError, ReadingNotes
from blemish.interchange.writers.coco import CocoWriter
from blemish.interchange.writers.cvat import CvatWriter
from blemish.interchange.writers.folders import FoldersWriter, MvtecWriter
from blemish.interchange.writers.label_studio import LabelStudioWriter
from blemish.interchange.writers.labelme import LabelMeWriter
from blemish.interchange.writers.manifests import ManifestWriter
from blemish.interchange.writers.voc import VocWriter
from blemish.interchange.writers.yolo import YoloWriter

ALL = "all"
"""The name of an archive with the images once, and all formats that can share them."""

FOLDER_FORMATS = ("mvtec", "folders")
"""Formats whose folders say labels: each needs the images in folders of its own."""

_WRITERS: Mapping[str, Callable[[datetime], DatasetWriter]] = {
    "manifest": lambda now: ManifestWriter(now=now),
    "cvat": lambda _: CvatWriter(),
    "voc": lambda _: VocWriter(),
    "label-studio": lambda _: LabelStudioWriter(),
    "coco": lambda _: CocoWriter(),
    "labelme": lambda _: LabelMeWriter(),
    "yolo": lambda _: YoloWriter(),
    "mvtec": lambda _: MvtecWriter(),
    "folders": lambda _: FoldersWriter(),
}

EXPORT_FORMATS = (ALL, *_WRITERS)
"""The names of what can be written."""


def check_export_format(name: str) -> None:
    """Refuse a format that cannot be written.

    Raises:
        InterchangeError: there is no such format.
    """
    if name not in EXPORT_FORMATS:
        raise InterchangeError(f"{name!r:.80} must be one of {', '.join(EXPORT_FORMATS)}.")


def export_writers(name: str, *, now: datetime) -> Sequence[DatasetWriter]:
    """Return the writers of a format, or of all that share images.

    Raises:
        InterchangeError: there is no such format.
    """
    check_export_format(name)
    if name == ALL:
        return [make(now) for other, make in _WRITERS.items() if other not in FOLDER_FORMATS]
    return [_WRITERS[name](now)]


def export_archive(
    lines: Iterable[tuple[DatasetType, str]],
    *,
    format_name: str,
    read: Callable[[ObjectRef], bytes],
    archive: DatasetArchive,
    now: datetime,
) -> Iterator[bytes]:
    """Yield a ZIP archive of entries; what it cannot have is in the notes of the archive.

    Args:
        lines: the dataset and the JSON Line of each entry.
        format_name: one of `EXPORT_FORMATS`.
        read: returns an object; raises InterchangeError if it cannot be read.
        archive: is filled.
        now: the time of its files.

    Raises:
        InterchangeError: there is no such format.
    """
    writers = export_writers(format_name, now=now)
    images = _counted(_images(lines, read, archive.notes), writers, archive.notes)
    yield from archive_chunks(images, writers, archive=archive)


def _images(
    lines: Iterable[tuple[DatasetType, str]],
    read: Callable[[ObjectRef], bytes],
    notes: ReadingNotes,
) -> Iterator[ExportImage]:
    names = _FileNames()
    for kind, line in lines:
        entry = parse_line(line)
        try:
            yield _image(kind, entry, names.of(entry.image.key), read)
        except (InterchangeError, ImageError) as error:
            notes.problem(str(entry.image), str(error))


def _image(
    kind: DatasetType, entry: DatasetEntry, name: str, read: Callable[[ObjectRef], bytes]
) -> ExportImage:
    data = read(entry.image)
    header = read_image_header(data)
    mask = entry.mask if entry.label is Label.ANOMALY else None
    mask_data = read(mask.ref) if mask else None
    masks = {}
    if mask is not None and mask_data is not None:
        masks = decode_mask(
            mask_data,
            colors=mask.colors,
            size=header.size,
            orientation=header.orientation,
            drawn=mask.orientation,
            name=str(mask.ref),
        )
    colors = mask.colors if mask else {}
    return ExportImage(
        name=name,
        kind=kind,
        label=entry.label,
        data=data,
        stored_size=header.size,
        orientation=header.orientation,
        masks=masks,
        mask_data=mask_data,
        colors={color: name for color, name in colors.items() if name != BACKGROUND_CLASS},
        mask_orientation=mask.orientation if mask else None,
    )


def _counted(
    images: Iterable[ExportImage], writers: Sequence[DatasetWriter], notes: ReadingNotes
) -> Iterator[ExportImage]:
    """Yield images, and count those that a format cannot have."""
    for image in images:
        for writer in writers:
            if writer.image_path(image) is None:
                label = "anomaly without a mask" if image.label else "image without a label"
                name = type(writer).__name__.removesuffix("Writer").lower()
                notes.unused[f"{label}, which the format {name} cannot have"] += 1
        yield image


class _FileNames:
    """Names of files, of which no two have the same stem."""

    def __init__(self) -> None:
        self._stems: set[str] = set()

    def of(self, key: str) -> str:
        """Return a name for an image: that of its key, with a number if another image has it."""
        stem, dot, suffix = key.rsplit("/", 1)[-1].rpartition(".")
        if not dot:
            stem, suffix = suffix, "png"
        number, unique = 1, stem
        while unique.casefold() in self._stems:
            number += 1
            unique = f"{stem}-{number}"
        self._stems.add(unique.casefold())
        return f"{unique}.{suffix}"
