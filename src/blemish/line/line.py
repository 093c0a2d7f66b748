"""One line of the server, as pages and the keeper see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blemish.domain.errors import ConflictError, ResourceType
from blemish.line.config import SHIFTS, LineConfig, parse_line_config
from blemish.line.feed import LineFeed, LineState
from blemish.line.history import HistoryFilter, LineHistory
from blemish.line.hosted_judge import HostedJudge
from blemish.line.reviews import LineReviews
from blemish.line.run import LineRun, LineSettings
from blemish.line.shifts import ShiftCounter, shift_times
from blemish.service.detection.detection import DetectionService
from blemish.station.errors import ConfigError


class Line:
    """A line; one thread at a time starts, stops and changes it."""

    def __init__(
        self,
        name: str,
        *,
        folder: Path,
        settings: str,
        detection: DetectionService,
        now: Callable[[], datetime],
    ) -> None:
        """Read the settings; what is wrong with them becomes the message of the line."""
        self.name = name
        self.folder = folder
        self.history = LineHistory(folder)
        self.reviews = LineReviews(folder)
        self._detection = detection
        self._now = now
        self._run: LineRun | None = None
        self._read(settings)
        self.feed = LineFeed(self._counter())

    @property
    def project(self) -> str:
        """The project of the model; empty if the settings cannot be read."""
        return self.config.project if self.config else ""

    @property
    def version(self) -> str:
        """The version of the model; empty if the settings cannot be read."""
        return self.config.version if self.config else ""

    def start(self) -> None:
        """Run the line."""
        if self.config is None:
            self.feed.set_state(LineState.FAILED, self._problem)
            return
        self._run = LineRun(
            self.name,
            LineSettings(folder=self.folder, text=self.settings),
            judge=HostedJudge(self._detection, project=self.project, version=self.version),
            feed=self.feed,
        )
        self._run.start()

    def change(self, settings: str) -> None:
        """Stop, and take other settings; open pages stay with the line."""
        self.stop()
        self._read(settings)
        self.feed.count_by(self._counter())

    def ask_to_stop(self) -> None:
        """Begin to end, without waiting for it."""
        if self._run is not None:
            self._run.ask_to_stop()

    def stop(self) -> None:
        """End, and wait for it."""
        if self._run is not None:
            self._run.stop()
            self._run = None
        self.feed.set_state(LineState.STOPPED)

    async def push(self, content: bytes, *, name: str | None) -> tuple[int, Mapping[str, Any]]:
        """Judge an image of a page; return a status of HTTP, and the verdict or the reason.

        Raises:
            ConflictError: the line takes no images of pages.
        """
        sources = self.config.browser_sources() if self.config else ()
        if not sources:
            raise ConflictError(
                f"The line {self.name} has no source of the type browser. Add one.",
                resource_type=ResourceType.LINE,
                resource_id=self.name,
            )
        if self._run is None:
            return 503, {"error": "The line is stopped."}
        return await self._run.push(sources[0], content, name=name)

    def _read(self, settings: str) -> None:
        self.settings = settings
        self.config: LineConfig | None = None
        self._problem = ""
        try:
            self.config = parse_line_config(settings, directory=self.folder)
        except ConfigError as error:
            self._problem = str(error)

    def _counter(self) -> ShiftCounter:
        config = self.config
        return ShiftCounter(
            shifts=config.shifts if config else shift_times(SHIFTS),
            zone=config.time_zone if config else UTC,
            count_since=lambda begin: self.history.count(HistoryFilter(since=begin)),
            now=self._now,
        )
