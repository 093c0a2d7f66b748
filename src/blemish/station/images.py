"""Images on their way from a source to a verdict."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from blemish.engine.images.decode import media_type
from blemish.station.verdict import Verdict

SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/bmp": ".bmp",
    "image/tiff": ".tif",
    "image/webp": ".webp",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class CapturedImage:
    """An image that a source gave."""

    #: the same for the same image of the same source, also after a restart
    id: str
    source: str
    #: for people
    name: str
    #: an image file, or (H, W, 3) RGB of a camera
    content: bytes | NDArray[np.uint8]
    #: in UTC
    taken_at: datetime
    #: reading of a monotonic clock, in seconds
    taken_s: float
    #: whether the records remember the id until the source forgets it
    is_remembered: bool = False
    #: how far the source is with this image, for its next start
    position: str | None = None
    #: gets the verdict, or a StationError; None if nobody waits
    answer: Future[Verdict] | None = None

    def encoded(self) -> tuple[bytes, str]:
        """Return an image file and its suffix; the pixels of a camera become a PNG."""
        if isinstance(self.content, bytes):
            return self.content, SUFFIXES.get(media_type(self.content) or "", ".image")
        buffer = io.BytesIO()
        Image.fromarray(self.content).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue(), ".png"


def image_id(source: str, *identity: Any) -> str:
    """Return the id of an image, which follows from its source and what identifies it there."""
    text = "\0".join([source, *map(str, identity)])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
