"""Thumbnails of images, cached as files."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from blemish.domain.entities import ObjectRef
from blemish.service.objects import Objects


class Thumbnails:
    """The thumbnails of the images in the buckets."""

    def __init__(self, folder: Path, *, staging: Path, objects: Objects, max_bytes: int) -> None:
        self._folder = folder
        self._staging = staging
        self._objects = objects
        #: largest image file
        self._max_bytes = max_bytes

    def of(self, ref: ObjectRef) -> bytes:
        """Return the thumbnail of an image, upright, as JPEG.

        Raises:
            ObjectError: the object does not exist, or it cannot be read.
            ImageError: it is no image.
        """
        size_bytes = self._objects.size(ref)
        name = hashlib.sha256(f"{ref}\n{size_bytes}".encode()).hexdigest()
        path = self._folder / name[:2] / f"{name}.jpg"
        try:
            return path.read_bytes()
        except FileNotFoundError:
            pass
        from blemish.service.datasets.thumbnail_drawing import draw_thumbnail

        thumbnail = draw_thumbnail(self._objects.read(ref, max_bytes=self._max_bytes))
        with suppress(OSError):  # on a full disk, it is drawn again the next time
            self._keep(path, thumbnail)
        return thumbnail

    def _keep(self, path: Path, thumbnail: bytes) -> None:
        """Write a file atomically, but not durably."""
        path.parent.mkdir(mode=0o700, exist_ok=True)
        aside = self._staging / uuid4().hex
        try:
            aside.write_bytes(thumbnail)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
