"""Cameras: one thread has the newest frame, and a trigger says which frames become images.

A camera that fails is connected to again, with growing pauses.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Protocol
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from blemish.station.errors import SourceError
from blemish.station.images import CapturedImage, image_id
from blemish.station.intake import Intake
from blemish.station.verdict import Verdict

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
FRAME_S = 5.0
"""How long a trigger waits for the next frame."""

STOP_LOOK_S = 0.2
"""How often a trigger that waits looks whether the station stops."""

CAPACITY = 8
"""Frames that wait in memory; one of a trigger beyond them is dropped, as its moment is over."""

FramePixels = Callable[[], NDArray[np.uint8]]
"""Returns a frame as (H, W, 3) RGB: most frames are never looked at."""

OpenFrames = Callable[[], AbstractContextManager[Iterator[FramePixels]]]
"""Connects to a camera. It raises SourceError, and so does the iterator once the camera fails."""


class Trigger(Protocol):
    """Says when a camera takes an image."""

    def run(self, shutter: Shutter) -> None:
        """Take images until the shutter's intake stops."""
        ...


class Shutter:
    """Takes images of a camera for a trigger."""

    def __init__(self, name: str, intake: Intake) -> None:
        self.intake = intake
        self._name = name
        self._changed = threading.Condition()
        self._frame: FramePixels | None = None
        self._number = 0

    def show(self, frame: FramePixels) -> None:
        """Have a new frame."""
        with self._changed:
            self._frame = frame
            self._number += 1
            self._changed.notify_all()

    def capture(self, name: str | None = None) -> tuple[CapturedImage, Future[Verdict]]:
        """Return the first frame from now on as an image.

        Raises:
            SourceError: the camera gave none in time.
        """
        frame = self._next_frame()
        taken_at, taken_s = datetime.now(UTC), time.monotonic()
        answer: Future[Verdict] = Future()
        image = CapturedImage(
            id=image_id(self._name, uuid4().hex),
            source=self._name,
            name=name or taken_at.isoformat(),
            content=frame(),
            taken_at=taken_at,
            taken_s=taken_s,
            answer=answer,
        )
        return image, answer

    def _next_frame(self) -> FramePixels:
        deadline = time.monotonic() + FRAME_S
        with self._changed:
            number = self._number
            while self._number == number:
                self._changed.wait(STOP_LOOK_S)
                if self.intake.is_stopping:
                    raise SourceError("The station stops.")
                if self._number == number and time.monotonic() > deadline:
                    self.intake.disconnected(f"The camera gave no frame within {FRAME_S:.0f} s.")
                if self._number == number and not self.intake.is_connected:
                    raise SourceError(f"Camera {self._name} is away: {self.intake.message}")
            assert self._frame is not None
            return self._frame


class CameraSource:
    """Gives the frames of a camera that its trigger wants."""

    capacity = CAPACITY

    def __init__(self, name: str, *, open_frames: OpenFrames, trigger: Trigger) -> None:
        self.name = name
        self._open_frames = open_frames
        self._trigger = trigger

    def run(self, intake: Intake) -> None:
        """Read frames in a thread, and take images until the intake stops."""
        shutter, ended = Shutter(self.name, intake), threading.Event()
        reading = threading.Thread(target=self._read, args=(shutter, ended), daemon=True)
        reading.start()
        try:
            self._trigger.run(shutter)
        finally:
            ended.set()
            reading.join(FRAME_S)

    def _read(self, shutter: Shutter, ended: threading.Event) -> None:
        """Read frames; connect again after a fault."""
        intake, pause_s = shutter.intake, FIRST_PAUSE_S
        while not ended.is_set():
            try:
                with self._open_frames() as frames:
                    for frame in frames:
                        intake.connected()
                        pause_s = FIRST_PAUSE_S
                        shutter.show(frame)
                        if ended.is_set():
                            return
                intake.disconnected("The camera ended its stream.")
            except SourceError as error:
                intake.disconnected(str(error))
            except Exception as error:
                logger.exception("camera %s failed", self.name)
                intake.disconnected(f"{type(error).__name__}: {error}")
            ended.wait(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
