"""A watched folder.

The station looks into it again and again, since network file systems report no changes. An image is
ready once its size and time of change have stayed the same for a while: slow writers are safe, and
so are files that are renamed into the folder. Files stay where they are; the records remember those
that were judged, by name, size and time of change. A file that is written anew is a new image.
"""

from __future__ import annotations

import fnmatch
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from blemish.station.config import WhenBusy
from blemish.station.config_table import ConfigTable
from blemish.station.images import CapturedImage, image_id
from blemish.station.intake import Intake
from blemish.station.sources.source import Source

logger = logging.getLogger(__name__)

PATTERNS = ("*.jpg", "*.jpeg", "*.png", "*.bmp", "*.tif", "*.tiff", "*.webp")
POLL_S, SETTLE_S = 0.1, 0.5
SHARE_OF_LOOKING = 0.2
"""Of the time that the station may spend on looking into a large folder."""

MOST_BYTES = 256 * 1024 * 1024
"""Of a file; the largest image without compression has less."""

Stamp = tuple[int, int]
"""Size in bytes, and time of change in ns."""


@dataclass(frozen=True, kw_only=True)
class FolderFile:
    """A file as it was when the station looked into the folder."""

    id: str
    name: str
    stamp: Stamp
    #: reading of a monotonic clock, when it was first like this
    since_s: float


class WatchedFolder:
    """Gives the images of a folder, in the order of their times of change."""

    capacity = 1

    def __init__(
        self,
        name: str,
        *,
        path: Path,
        patterns: tuple[str, ...] = PATTERNS,
        settle_s: float = SETTLE_S,
        poll_s: float = POLL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.path = path
        self._patterns = tuple(pattern.lower() for pattern in patterns)
        self._settle_s = settle_s
        self._poll_s = poll_s
        self._clock = clock
        self._files: dict[str, FolderFile] = {}
        #: ids that are dealt with or wait to be
        self._known: set[str] = set()
        #: ids of files that could not be read, which is logged once
        self._unreadable: set[str] = set()

    def run(self, intake: Intake) -> None:
        """Offer the images that are ready, until the intake stops."""
        self._known = intake.records.remembered(self.name)
        while not intake.is_stopping:
            start_s = self._clock()
            try:
                self._look()
            except OSError as error:
                intake.disconnected(f"{self.path} cannot be read: {error.strerror}.")
                intake.pause(1.0)
                continue
            intake.connected()
            self._forget(intake)
            spent_s = self._clock() - start_s
            self._offer(intake)
            intake.pause(max(self._poll_s, spent_s / SHARE_OF_LOOKING))

    def _look(self) -> None:
        """Note the files that the folder has now."""
        now_s = self._clock()
        files = {}
        with os.scandir(self.path) as entries:
            for entry in entries:
                stamp = self._stamp(entry)
                if stamp is not None:
                    file = self._files.get(entry.name)
                    if file is None or file.stamp != stamp:
                        file = FolderFile(
                            id=image_id(self.name, entry.name, *stamp),
                            name=entry.name,
                            stamp=stamp,
                            since_s=now_s,
                        )
                    files[entry.name] = file
        self._files = files

    def _stamp(self, entry: os.DirEntry[str]) -> Stamp | None:
        name = entry.name.lower()
        if name.startswith(".") or not any(
            fnmatch.fnmatchcase(name, pattern) for pattern in self._patterns
        ):
            return None
        try:
            status = entry.stat()
            is_image = entry.is_file() and status.st_size > 0  # an empty one is still to be written
        except OSError:
            return None  # it is gone again
        return (status.st_size, status.st_mtime_ns) if is_image else None

    def _forget(self, intake: Intake) -> None:
        """Forget the images that are not in the folder any more."""
        gone = self._known - {file.id for file in self._files.values()}
        if gone:
            intake.records.forget(self.name, sorted(gone))
            self._known -= gone

    def _offer(self, intake: Intake) -> None:
        """Offer the files that are ready; those of them that newer ones replace are not read."""
        settled_s = self._clock() - self._settle_s
        ready = [
            file
            for file in self._files.values()
            if file.id not in self._known and file.since_s <= settled_s
        ]
        files = sorted(ready, key=lambda file: (file.stamp[1], file.name))
        if intake.when_busy is WhenBusy.NEWEST_WINS and len(files) > 1:
            replaced = [file.id for file in files[:-1]]
            intake.drop(replaced, is_remembered=True)
            self._known.update(replaced)
            files = files[-1:]
        for file in files:
            self._offer_file(intake, file)

    def _offer_file(self, intake: Intake, file: FolderFile) -> None:
        is_too_large = file.stamp[0] > MOST_BYTES
        content = b"" if is_too_large else self._content(file)
        if content is None:
            return  # it has changed: the next look takes it as it is then
        image = CapturedImage(
            id=file.id,
            source=self.name,
            name=os.fsencode(file.name).decode("utf-8", "replace"),
            content=content,
            taken_at=datetime.now(UTC),
            taken_s=self._clock(),
            is_remembered=True,
        )
        if is_too_large:
            intake.fail(image, f"It has {file.stamp[0]:,} bytes; {MOST_BYTES:,} are allowed.")
        else:
            intake.offer(image)
        self._known.add(image.id)

    def _content(self, file: FolderFile) -> bytes | None:
        """Read a file; None if it was changed or removed since the station looked."""
        try:
            with (self.path / file.name).open("rb") as opened:
                content = opened.read(MOST_BYTES)
                status = os.fstat(opened.fileno())
        except FileNotFoundError:
            return None
        except OSError as error:
            if file.id not in self._unreadable:
                logger.warning("image %s of %s: %s", file.name, self.name, error.strerror)
                self._unreadable.add(file.id)
            return None
        return content if (status.st_size, status.st_mtime_ns) == file.stamp else None


def build_folder_source(name: str, table: ConfigTable, when_busy: WhenBusy) -> Source:
    """Build the source from its settings."""
    del when_busy  # either is fine
    return WatchedFolder(
        name,
        path=table.path("path"),
        patterns=table.texts("patterns", PATTERNS),
        settle_s=table.number("settle_s", SETTLE_S, least=0, most=600),
    )
