"""The images of a training: each file is fetched from the store once, then read from a spool.

A training reads its images several times: to validate them, to embed them at each resolution, and
to evaluate. Memory could not hold them all, and a remote store would send them several times.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from blemish.domain.entities import DatasetEntry, MaskOrientation, ObjectRef
from blemish.engine.training.labeled_images import LabeledImage, TrainingMask
from blemish.service.objects import Objects
from blemish.service.training.image_files import read_image_file

RESERVE_BYTES = 1 << 30
"""Free disk space that the spool leaves; below it, files are fetched again."""


class TrainingImages:
    """The images and masks of a training, by their references."""

    def __init__(
        self,
        objects: Objects,
        *,
        max_bytes: int,
        spool: BinaryIO,
        mask_orientation: MaskOrientation | None,
    ) -> None:
        self._objects = objects
        #: of an image's file, or a mask's
        self._max_bytes = max_bytes
        self._spool = spool
        #: of masks whose line does not say
        self._mask_orientation = mask_orientation
        #: file -> its offset in the spool and its length
        self._spans: dict[ObjectRef, tuple[int, int]] = {}
        self._spool_bytes = 0

    def labeled(self, entry: DatasetEntry) -> LabeledImage:
        """Return the image of a dataset entry that has a label."""
        assert entry.label is not None
        mask = entry.mask
        return LabeledImage(
            name=str(entry.image),
            label=entry.label,
            read=partial(self._read, entry.image, "image"),
            mask=TrainingMask(
                read=partial(self._read, mask.ref, "mask"),
                colors=mask.colors,
                name=str(mask.ref),
                orientation=mask.orientation or self._mask_orientation,
            )
            if mask
            else None,
        )

    def _read(self, ref: ObjectRef, kind: str) -> bytes:
        """Read an image or a mask; errors as `read_image_file`."""
        if span := self._spans.get(ref):
            offset, length = span
            return os.pread(self._spool.fileno(), length, offset)
        data = read_image_file(self._objects, ref, kind, max_bytes=self._max_bytes)
        self._store(ref, data)
        return data

    def _store(self, ref: ObjectRef, data: bytes) -> None:
        """Append a file to the spool if the disk has room for it."""
        disk = os.fstatvfs(self._spool.fileno())
        if disk.f_bavail * disk.f_frsize < RESERVE_BYTES + len(data):
            return
        try:
            written = os.pwrite(self._spool.fileno(), data, self._spool_bytes)
        except OSError:
            return
        if written == len(data):
            self._spans[ref] = (self._spool_bytes, written)
            self._spool_bytes += written


@contextmanager
def open_training_images(
    objects: Objects,
    *,
    max_bytes: int,
    folder: Path,
    mask_orientation: MaskOrientation | None = None,
) -> Iterator[TrainingImages]:
    """Open the images of a training, with a spool that has no name and ends with the process."""
    with TemporaryFile(dir=folder, buffering=0) as spool:
        yield TrainingImages(
            objects, max_bytes=max_bytes, spool=spool, mask_orientation=mask_orientation
        )
