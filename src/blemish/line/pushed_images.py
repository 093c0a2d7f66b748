"""Images that a page of the console sends: the camera of a browser."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import Future
from datetime import UTC, datetime
from uuid import uuid4

from blemish.station.config import WhenBusy
from blemish.station.config_table import ConfigTable
from blemish.station.errors import BusyError
from blemish.station.images import CapturedImage, image_id
from blemish.station.intake import Intake
from blemish.station.sources.posted import offered_answer
from blemish.station.sources.source import Source
from blemish.station.verdict import Verdict


class PushedImages:
    """Gives the images that the process of the line hands over."""

    capacity = 4

    def __init__(self, name: str) -> None:
        self.name = name
        self._intake: Intake | None = None

    def run(self, intake: Intake) -> None:
        """Take images until the intake stops."""
        self._intake = intake
        intake.connected()
        while not intake.is_stopping:
            intake.pause(1.0)

    def push(self, content: bytes, *, name: str | None) -> tuple[int, dict[str, object]]:
        """Offer an image; return a status of HTTP, and the verdict or why there is none.

        An image with the name and the content of an earlier one gets the verdict of that one.
        """
        if self._intake is None:
            return 503, {"error": str(BusyError("The line is starting."))}
        answer: Future[Verdict] = Future()
        taken_at = datetime.now(UTC)
        identity = (name, hashlib.sha256(content).hexdigest()) if name else (uuid4().hex,)
        image = CapturedImage(
            id=image_id(self.name, *identity),
            source=self.name,
            name=name or taken_at.isoformat(),
            content=content,
            taken_at=taken_at,
            taken_s=time.monotonic(),
            answer=answer,
        )
        status, document = offered_answer(self._intake, image, answer)
        return status, dict(document)


def build_pushed_images(name: str, table: ConfigTable, when_busy: WhenBusy) -> Source:
    """Build the source; it has no settings of its own."""
    del table, when_busy  # either is fine
    return PushedImages(name)
