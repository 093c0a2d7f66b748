"""One line of the server, as pages and the keeper see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blemish.domain.errors import ConflictError, ResourceType
from blemish.line.config import SHIFTS, LineConfig, parse_line_config
from blemish.line.drift import LineDrift
from blemish.line.feed import LineFeed, LineState
from blemish.line.history import HistoryFilter, LineHistory
from blemish.line.hosted_judge import HostedJudge
from blemish.line.line_model import LineModel
from blemish.line.reviews import LineReviews
from blemish.line.run import LineRun, LineSettings
from blemish.line.shadow import Shadow
from blemish.line.shadow_records import ModelPair, ShadowRecords
from blemish.line.shifts import ShiftCounter, shift_times
from blemish.service.detection.detection import DetectionService
from blemish.station.drift.alarms import AlarmKind
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
        problem: str = "",
    ) -> None:
        """Read the settings; what is wrong with them, or `problem`, is the line's message."""
        self.name = name
        self.folder = folder
        self.history = LineHistory(folder)
        self.drift = LineDrift(folder)
        self.reviews = LineReviews(folder)
        self.shadows = ShadowRecords(folder)
        self._detection = detection
        self._now = now
        self._shadow = Shadow(detection, self.shadows)
        self._run: LineRun | None = None
        self._read(settings, problem)
        self.feed = LineFeed(self._counter())

    @property
    def project(self) -> str:
        """The project of the model; empty if the settings cannot be read."""
        return self.config.project if self.config else ""

    @property
    def version(self) -> str:
        """The version of the model; empty if the settings cannot be read."""
        return self.config.version if self.config else ""

    @property
    def shadow(self) -> Shadow:
        """Judges by the second model, if there is one."""
        return self._shadow

    @property
    def model(self) -> LineModel:
        """The model that judges."""
        return LineModel(project=self.project, version=self.version)

    @property
    def pair(self) -> ModelPair | None:
        """Both models, if there are two."""
        second = self.config.shadow if self.config else None
        return None if second is None else ModelPair(first=str(self.model), second=str(second))

    def alarms(self) -> Iterator[tuple[str, str, str, bool]]:
        """Yield line, source and kind of each alarm, and whether it lasts, while the line runs."""
        status = self.feed.status
        lasting = {(alarm["source"], alarm["kind"]) for alarm in status.get("alarms", ())}
        for source in status.get("sources", ()):
            for kind in AlarmKind:
                name = source["name"]
                yield self.name, name, str(kind), (name, kind) in lasting

    def exchange_models(self, settings: str) -> None:
        """Let the second model judge from the next image on, and the first one silently.

        The process of the line goes on: no image is lost, or judged twice.

        Args:
            settings: with the two models exchanged.
        """
        self._read(settings)
        assert self.config is not None
        self._shadow.set_model(self.config.shadow)
        if self._run is not None:
            self._run.exchange(LineSettings(folder=self.folder, text=settings), self.model)

    def start(self) -> None:
        """Run the line."""
        if self.config is None:
            self.feed.set_state(LineState.FAILED, self._problem)
            return
        self._shadow = Shadow(self._detection, self.shadows)
        self._run = LineRun(
            self.name,
            LineSettings(folder=self.folder, text=self.settings),
            judge=HostedJudge(self._detection, model=self.model, shadow=self._shadow),
            feed=self.feed,
        )
        if self.config.shadow is not None:
            self._shadow.set_model(self.config.shadow)
            self._shadow.start()
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
        self._shadow.stop()
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

    def _read(self, settings: str, problem: str = "") -> None:
        self.settings = settings
        self.config: LineConfig | None = None
        self._problem = problem
        try:
            self.config = parse_line_config(settings, directory=self.folder)
        except ConfigError as error:
            self._problem = problem or str(error)

    def _counter(self) -> ShiftCounter:
        config = self.config
        return ShiftCounter(
            shifts=config.shifts if config else shift_times(SHIFTS),
            zone=config.time_zone if config else UTC,
            count_since=lambda begin: self.history.count(HistoryFilter(since=begin)),
            now=self._now,
        )
