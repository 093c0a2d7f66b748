"""Video files: every frame, or one in so many.

The records remember how far the station is; after a restart it goes on with the next frame. Where
no image may be dropped, frames come as fast as they are judged, otherwise as fast as in the video.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from blemish.station.config import WhenBusy
from blemish.station.config_table import ConfigTable
from blemish.station.errors import SourceError
from blemish.station.images import CapturedImage, image_id
from blemish.station.intake import Intake
from blemish.station.libraries import check_library
from blemish.station.sources.source import Source
from blemish.station.sources.streams import decoded_frames, frame_pixels, open_container

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

LOOK_S = 1.0
"""How often the station looks whether the file is there, or another one."""


class VideoFile:
    """Gives frames of one file, from the first to the last."""

    capacity = 1

    def __init__(self, name: str, *, path: Path, every: int, in_real_time: bool) -> None:
        self.name = name
        self._path = path
        self._every = every
        self._in_real_time = in_real_time

    def run(self, intake: Intake) -> None:
        """Offer the frames that are not on record; then wait for another file of this name."""
        ended = ""
        while not intake.is_stopping:
            try:
                version = self._version()
                if version != ended:
                    self._play(intake, version)
                    ended = version
                intake.connected()
            except SourceError as error:
                intake.disconnected(str(error))
            intake.pause(LOOK_S)

    def _version(self) -> str:
        try:
            status = self._path.stat()
        except OSError as error:
            raise SourceError(f"{self._path} cannot be read: {error.strerror}.") from None
        return f"{self._path.name} {status.st_size} {status.st_mtime_ns}"

    def _play(self, intake: Intake, version: str) -> None:
        last, _, last_version = (intake.records.position(self.name) or "").partition(" ")
        first = int(last) + 1 if last_version == version else 0
        start_s = time.monotonic()
        start: float | None = None
        with open_container(str(self._path), shown=str(self._path)) as container:
            intake.connected()
            for number, frame in enumerate(decoded_frames(container, shown=str(self._path))):
                if intake.is_stopping:
                    return
                if number < first or number % self._every:
                    continue
                if self._in_real_time and frame.time is not None:
                    start = frame.time if start is None else start
                    intake.pause(max(0.0, start_s + frame.time - start - time.monotonic()))
                intake.offer(self._image(frame, number, version))

    def _image(self, frame: VideoFrame, number: int, version: str) -> CapturedImage:
        return CapturedImage(
            id=image_id(self.name, version, number),
            source=self.name,
            name=f"{self._path.name} frame {number}",
            content=frame_pixels(frame),
            taken_at=datetime.now(UTC),
            taken_s=time.monotonic(),
            position=f"{number} {version}",
        )


def build_video_file(name: str, table: ConfigTable, when_busy: WhenBusy) -> Source:
    """Build the source from its settings."""
    check_library("av", user=table.name)
    return VideoFile(
        name,
        path=table.path("path"),
        every=table.integer("every", 1, least=1),
        in_real_time=when_busy is WhenBusy.NEWEST_WINS,
    )
