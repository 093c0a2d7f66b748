"""A dataset as a ZIP archive, written as it is read: one image at a time is in memory."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import IO, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from blemish.domain.entities import DatasetType, Label, MaskOrientation
from blemish.engine.images.orientation import turn, turn_size
from blemish.interchange.labelled import ReadingNotes

SPOOLED_BYTES = 4 * 1024 * 1024
"""Of a list that grows with the images, before it goes to the disk."""

_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, eq=False)
class ExportImage:
    """An image on its way into an archive."""

    #: name of its file, which no other image of the archive has, whatever the suffix
    name: str
    kind: DatasetType
    label: Label | None
    data: bytes
    #: (width, height) as stored
    stored_size: tuple[int, int]
    #: EXIF orientation, 1 to 8
    orientation: int
    #: anomaly type -> (H, W) as stored
    masks: Mapping[str, NDArray[np.bool_]]
    #: the PNG of the mask, as it is in its bucket; None without one
    mask_data: bytes | None
    #: "#RRGGBB" -> anomaly type, of that PNG
    colors: Mapping[str, str]
    mask_orientation: MaskOrientation | None

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self.name.rpartition(".")[0]

    @property
    def path(self) -> str:
        """Where most formats expect the image."""
        return f"images/{self.kind}/{self.name}"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) upright, as tools show the image."""
        return turn_size(self.stored_size, self.orientation)

    @cached_property
    def upright_masks(self) -> Mapping[str, NDArray[np.bool_]]:
        """Anomaly type -> (H, W) upright."""
        return {
            name: np.ascontiguousarray(turn(mask, self.orientation))
            for name, mask in self.masks.items()
        }

    @property
    def is_shown_by_areas(self) -> bool:
        """Whether a format without labels says the right one: areas, or none and normal."""
        return bool(self.masks) or self.label is Label.NORMAL


class DatasetWriter(Protocol):
    """Writes one format."""

    def image_path(self, image: ExportImage) -> str | None:
        """Return where the format has an image; None if it cannot have it."""

    def add(self, image: ExportImage, archive: DatasetArchive) -> None:
        """Write what the format says of an image."""

    def finish(self, archive: DatasetArchive) -> None:
        """Write what the format says of all images together."""


class DatasetArchive:
    """A ZIP archive that is sent while it grows."""

    def __init__(self, *, now: datetime) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self._sink), "w")
        self._date = now.timetuple()[:6]
        #: what the archive lacks
        self.notes = ReadingNotes()

    def write(self, path: str, data: bytes, *, compressed: bool = False) -> None:
        """Write a file."""
        self._zip.writestr(self._entry(path, compressed=compressed), data)

    def write_parts(self, path: str, parts: Iterable[bytes]) -> None:
        """Write a compressed file of parts."""
        with self._zip.open(self._entry(path, compressed=True), "w", force_zip64=True) as file:
            for part in parts:
                file.write(part)

    def close(self) -> None:
        """Write the end of the archive."""
        self._zip.close()

    def drain(self) -> bytes:
        """Return what was written since the last call."""
        return self._sink.drain()

    def _entry(self, path: str, *, compressed: bool) -> zipfile.ZipInfo:
        entry = zipfile.ZipInfo(path, self._date)
        entry.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
        entry.external_attr = 0o644 << 16
        return entry


class SpooledList:
    """A list of texts, in memory while it is short."""

    def __init__(self, separator: bytes = b",\n") -> None:
        self._file: tempfile.SpooledTemporaryFile[bytes] | None = None
        self._separator = separator

    def add(self, text: str) -> None:
        """Append a text."""
        if self._file is None:
            self._file = tempfile.SpooledTemporaryFile(max_size=SPOOLED_BYTES)  # noqa: SIM115
        else:
            self._file.write(self._separator)
        self._file.write(text.encode())

    def add_json(self, value: Any) -> None:
        """Append a value as JSON."""
        self.add(json.dumps(value, ensure_ascii=False))

    def parts(self) -> Iterator[bytes]:
        """Yield the texts with separators between them; then the list is gone."""
        if self._file is None:
            return
        with self._file as file:
            file.seek(0)
            while part := file.read(_CHUNK):
                yield part


def archive_chunks(
    images: Iterable[ExportImage], writers: Sequence[DatasetWriter], *, archive: DatasetArchive
) -> Iterator[bytes]:
    """Yield a ZIP archive of images and of what all formats say of them."""
    for image in images:
        paths = {writer.image_path(image) for writer in writers}
        for path in sorted(path for path in paths if path is not None):
            archive.write(path, image.data)
        for writer in writers:
            if writer.image_path(image) is not None:
                writer.add(image, archive)
        yield archive.drain()
    for writer in writers:
        writer.finish(archive)
        yield archive.drain()
    if sentences := archive.notes.sentences() + archive.notes.problems:
        archive.write("NOTES.txt", "".join(f"{line}\n" for line in sentences).encode())
    archive.close()
    yield archive.drain()


class _Sink:
    """Collects what is written; it cannot go back, and is never closed."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def flush(self) -> None:
        """Keep all data for `drain`."""

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def drain(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data
