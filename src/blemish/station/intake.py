"""The intake: where the images of one source wait to be judged.

Only few images wait in memory. A source that may not drop any waits until one is taken; otherwise a
newer image replaces the one that waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from blemish.station.config import WhenBusy
from blemish.station.errors import BusyError, RecordsError
from blemish.station.images import CapturedImage
from blemish.station.records import Records

logger = logging.getLogger(__name__)


class Intake:
    """The images of one source; `changed` is shared by all intakes of a station."""

    def __init__(
        self,
        source: str,
        *,
        when_busy: WhenBusy,
        records: Records,
        changed: threading.Condition,
        stopping: threading.Event,
        capacity: int = 1,
    ) -> None:
        self.source = source
        self.when_busy = when_busy
        self.records = records
        self.is_connected = False
        self.message = "The source has not started."
        #: why no trigger can come now
        self.trigger_message = ""
        self._changed = changed
        self._stopping = stopping
        self._capacity = capacity
        self._images: deque[CapturedImage] = deque()

    @property
    def is_stopping(self) -> bool:
        """Whether the source must end."""
        return self._stopping.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than until the source must end."""
        self._stopping.wait(seconds)

    def connected(self) -> None:
        """Say that the source has images, or waits for one."""
        if not self.is_connected:
            logger.info("source %s is connected", self.source)
        self.is_connected, self.message = True, ""

    def disconnected(self, reason: str) -> None:
        """Say that the source has no images now, and why."""
        if self.is_connected or reason != self.message:
            logger.warning("source %s is not connected: %s", self.source, reason)
        self.is_connected, self.message = False, reason

    def offer(self, image: CapturedImage, *, patience_s: float | None = None) -> None:
        """Hand an image over, as the station is configured for a busy moment.

        Args:
            image: what is to be judged.
            patience_s: how long it may wait for room; None for as long as the source runs.

        Raises:
            BusyError: there was no room, or the station stops; the image is not taken.
        """
        if self.when_busy is WhenBusy.NEWEST_WINS:
            self._replace(image)
            return
        deadline = None if patience_s is None else time.monotonic() + patience_s
        with self._changed:
            while len(self._images) >= self._capacity and not self.is_stopping:
                rest_s = None if deadline is None else deadline - time.monotonic()
                if rest_s is not None and rest_s <= 0:
                    raise BusyError("The station is busy. Send the image again later.")
                self._changed.wait(rest_s)
            if self.is_stopping:
                raise BusyError("The station stops.")
            self._images.append(image)
            self._changed.notify_all()

    def drop(self, image_ids: list[str], *, is_remembered: bool) -> None:
        """Count images as dropped; a fault of the records is only logged."""
        try:
            self.records.drop(image_ids, source=self.source, is_remembered=is_remembered)
        except RecordsError as error:
            logger.warning("source %s dropped %d images: %s", self.source, len(image_ids), error)

    def fail(self, image: CapturedImage, reason: str) -> None:
        """Count an image that cannot be judged; a fault of the records is only logged."""
        logger.warning("image %s of %s cannot be judged: %s", image.name, image.source, reason)
        try:
            self.records.fail(image)
        except RecordsError as error:
            logger.warning("%s", error)

    def take(self) -> CapturedImage | None:
        """Return the image that waits longest, or None; `changed` must be held."""
        if not self._images:
            return None
        image = self._images.popleft()
        self._changed.notify_all()
        return image

    def _replace(self, image: CapturedImage) -> None:
        with self._changed:
            if self.is_stopping:
                raise BusyError("The station stops.")
            replaced = list(self._images)
            self._images.clear()
            self._images.append(image)
            self._changed.notify_all()
        for old in replaced:
            self.drop([old.id], is_remembered=old.is_remembered)
            if old.answer is not None:
                old.answer.set_exception(BusyError("A newer image replaced this one."))
