"""The station: takes images from sources, judges them, records verdicts and hands them on.

One thread for each source, one that judges, one for each sink, and one that removes what is too
old. It knows of no command line, no signal and no process: its owner calls `start` and `stop`.
"""

from __future__ import annotations

import logging
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from blemish.engine.heat_maps import encode_heat_map
from blemish.engine.normal_images import Comparison
from blemish.engine.runtime import Detection
from blemish.station.config import SourceConfig
from blemish.station.delivery import SinkWorker
from blemish.station.errors import (
    BusyError,
    JudgeAwayError,
    RecordsError,
    SourceError,
    StationError,
    UnreadableError,
)
from blemish.station.images import CapturedImage
from blemish.station.intake import Intake
from blemish.station.records import STATION, Records
from blemish.station.sinks.sink import Sink
from blemish.station.sources.source import Source
from blemish.station.status import SinkStatus, SourceStatus, StationStatus
from blemish.station.stored_images import StoredImage
from blemish.station.verdict import Verdict

logger = logging.getLogger(__name__)

T = TypeVar("T")

LAST = 20
"""Verdicts in the status."""

RATE_WINDOW_S = 60.0
ROOM_LOOK_S = 0.05
"""How often the station looks whether full sinks take verdicts again."""

UPKEEP_S = 60.0
"""How often the records remove what is too old while no image comes."""

RETRY_S = 1.0
"""Pause before the records are written again."""

STOP_S = 15.0
"""How long a source or a sink may take to end."""


class JudgingModel(Protocol):
    """The model that judges, as verdicts name it."""

    @property
    def name(self) -> str:
        """The name of its component, or of its project in a server."""
        ...

    @property
    def version(self) -> str:
        """The version of the component or of the model."""
        ...


class ImageJudge(Protocol):
    """What judges: `judge.Judge`, the hosted model of a server, or another in tests."""

    @property
    def component(self) -> JudgingModel:
        """The model that judges now."""
        ...

    def judge(self, image: CapturedImage) -> tuple[Verdict, Detection]:
        """Judge an image.

        Raises:
            UnreadableError: it cannot be judged.
            JudgeAwayError: the station stops before the model could judge it.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class LatestImage:
    """The last image that was judged, whether the records store it or not."""

    verdict: Verdict
    image: CapturedImage
    detection: Detection

    def heat_map_png(self) -> bytes:
        """Draw the heat map, a transparent PNG that lies over the image."""
        return encode_heat_map(
            self.detection.anomaly_map,
            threshold=max(self.detection.threshold, 0),
            size=self.detection.stored_size,
        )


@dataclass(eq=False, kw_only=True)
class _Progress:
    """Rate and latency of the last images."""

    clock: Callable[[], float]
    started_s: float
    ended_s: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=100))

    def add(self, taken_s: float) -> None:
        now = self.clock()
        self.ended_s.append(now)
        self.latencies_s.append(now - taken_s)

    def rate_per_s(self) -> float:
        now = self.clock()
        window_s = min(RATE_WINDOW_S, max(now - self.started_s, 1.0))
        return sum(moment > now - window_s for moment in list(self.ended_s)) / window_s

    def latency_s(self) -> float | None:
        return statistics.median(list(self.latencies_s)) if self.latencies_s else None


class Station:
    """A station over records that it alone writes."""

    def __init__(
        self,
        *,
        judge: ImageJudge,
        records: Records,
        sources: Sequence[tuple[Source, SourceConfig]],
        sinks: Sequence[Sink],
        recorded: Callable[[Verdict], None] = lambda _verdict: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the parts; `recorded` is called with each new verdict once it is on record."""
        self._judge = judge
        self._recorded = recorded
        self._records = records
        self._progress = _Progress(clock=clock, started_s=clock())
        self._started_at = datetime.now(UTC)
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._ending = threading.Event()
        self._latest: LatestImage | None = None
        self._turn = 0
        self._intakes = [
            Intake(
                source.name,
                when_busy=config.when_busy,
                records=records,
                changed=self._changed,
                stopping=self._stopping,
                capacity=source.capacity,
            )
            for source, config in sources
        ]
        self._workers = [
            SinkWorker(sink=sink, records=records, stopping=self._ending) for sink in sinks
        ]
        self._source_threads = [
            threading.Thread(
                target=_run_source, args=(source, intake), name=source.name, daemon=True
            )
            for (source, _), intake in zip(sources, self._intakes, strict=True)
        ]
        self._sink_threads = [
            threading.Thread(target=worker.run, name=worker.sink.name, daemon=True)
            for worker in self._workers
        ]
        self._judging = threading.Thread(target=self._run, name="judge", daemon=True)
        self._upkeep = threading.Thread(target=self._keep_up, name="upkeep", daemon=True)

    def start(self) -> None:
        """Start all threads."""
        self._records.remove_unfinished()
        threads = (*self._sink_threads, self._judging, *self._source_threads, self._upkeep)
        for thread in threads:
            thread.start()

    def stop(self) -> None:
        """End the sources, judge what waits in memory, then end the sinks."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._source_threads:
            thread.join(STOP_S)
        self._judging.join(STOP_S)
        self._ending.set()
        for worker in self._workers:
            worker.wake.set()
        for thread in (*self._sink_threads, self._upkeep):
            thread.join(STOP_S)

    @property
    def is_running(self) -> bool:
        """Whether the station judges; it ends by `stop`, or by a fault that the log has."""
        return self._judging.is_alive()

    def latest_image(self) -> LatestImage | None:
        """Return the last image of this run, or None before the first."""
        return self._latest

    def status(self) -> StationStatus:
        """Return how the station is doing."""
        counters = self._records.counters()
        sources = tuple(
            SourceStatus(
                name=intake.source,
                is_connected=intake.is_connected and not intake.trigger_message,
                message=intake.message or intake.trigger_message,
                detections=counters.get((f"source {intake.source}", "detections"), 0),
                dropped=counters.get((f"source {intake.source}", "dropped"), 0),
                failed=counters.get((f"source {intake.source}", "failed"), 0),
            )
            for intake in self._intakes
        )
        sinks = tuple(
            SinkStatus(
                name=worker.sink.name,
                is_connected=worker.is_connected,
                message=worker.message,
                delivered=counters.get((f"sink {worker.sink.name}", "delivered"), 0),
                waiting=self._records.waiting(worker.sink.name),
                dropped=counters.get((f"sink {worker.sink.name}", "dropped"), 0)
                + counters.get((f"sink {worker.sink.name}", "refused"), 0),
            )
            for worker in self._workers
        )
        return StationStatus(
            started_at=self._started_at,
            component=self._judge.component.name,
            component_version=self._judge.component.version,
            detections=sum(source.detections for source in sources),
            anomalous=counters.get((STATION, "anomalous"), 0),
            rate_per_s=self._progress.rate_per_s(),
            latency_s=self._progress.latency_s(),
            last=tuple(self._records.last(LAST)),
            sources=sources,
            sinks=sinks,
            alarms=tuple(self._records.drift.alarms(only_active=True)),
        )

    def _run(self) -> None:
        try:
            while (image := self._next_image()) is not None:
                self._handle(image)
        except Exception:
            logger.exception("the station ended by a fault")

    def _keep_up(self) -> None:
        """Remove what is too old, also while no image comes."""
        while True:
            try:
                self._records.remove_expired()
            except RecordsError as error:
                logger.warning("%s", error)
            if self._stopping.wait(UPKEEP_S):
                return

    def _next_image(self) -> CapturedImage | None:
        """Wait for an image; None once the station stops and none waits in memory."""
        while True:
            with self._changed:
                is_stopping = self._stopping.is_set()
                if is_stopping or self._records.has_room():
                    image = self._take()
                    if image is not None or is_stopping:
                        return image
                    self._changed.wait()
                else:
                    self._changed.wait(ROOM_LOOK_S)

    def _take(self) -> CapturedImage | None:
        """Take an image from the intakes in turn."""
        for _ in self._intakes:
            self._turn = (self._turn + 1) % len(self._intakes)
            if (image := self._intakes[self._turn].take()) is not None:
                return image
        return None

    def _handle(self, image: CapturedImage) -> None:
        """Judge an image and answer who waits for it."""
        try:
            verdict = self._records.repeat(image) or self._judge_and_record(image)
        except UnreadableError as error:
            _answer(image, error)
        except StationError as error:
            logger.error("image %s of %s is not on record: %s", image.name, image.source, error)
            _answer(image, error)
        else:
            self._progress.add(image.taken_s)
            for worker in self._workers:
                worker.wake.set()
            _answer(image, verdict)

    def _judge_and_record(self, image: CapturedImage) -> Verdict:
        try:
            verdict, detection = self._judge.judge(image)
        except UnreadableError as error:
            logger.warning("image %s of %s cannot be judged: %s", image.name, image.source, error)
            self._insist(lambda: self._records.fail(image))
            raise
        except JudgeAwayError:
            raise
        except Exception as error:  # an image that nobody expected must not end the station
            logger.exception("image %s of %s cannot be judged", image.name, image.source)
            self._insist(lambda: self._records.fail(image))
            raise UnreadableError("The station failed; its log says why.") from error
        stored = self._store(image, detection) if self._records.wants_image(verdict) else None
        comparison = _compared(image, detection)
        recorded = self._insist(
            lambda: self._records.add(verdict, image, stored=stored, comparison=comparison)
        )
        self._latest = LatestImage(verdict=recorded, image=image, detection=detection)
        self._recorded(recorded)
        return recorded

    def _store(self, image: CapturedImage, detection: Detection) -> StoredImage | None:
        """Store an image; without room on the disk the verdict goes on without it, counted."""
        try:
            return self._records.images.store(image, detection)
        except OSError as error:
            logger.warning("image %s cannot be stored: %s", image.name, error.strerror)
            self._insist(lambda: self._records.count(STATION, "images not stored"))
            return None

    def _insist(self, write: Callable[[], T]) -> T:
        """Write to the records, again and again until it succeeds or the station stops.

        Raises:
            RecordsError: the station stops.
        """
        while True:
            try:
                return write()
            except RecordsError as error:
                if self._stopping.wait(RETRY_S):
                    raise
                logger.warning("%s The station waits.", error)


def _compared(image: CapturedImage, detection: Detection) -> Comparison | None:
    """Compare an image with the normal images of the training; a fault costs no verdict."""
    if detection.compare is None:
        return None
    try:
        return detection.compare()
    except Exception:
        logger.exception("image %s of %s cannot be compared", image.name, image.source)
        return None


def _run_source(source: Source, intake: Intake) -> None:
    pause_s = 1.0
    while not intake.is_stopping:
        try:
            source.run(intake)
        except BusyError:
            return
        except SourceError as error:
            intake.disconnected(str(error))
        except Exception:
            logger.exception("source %s failed", source.name)
            intake.disconnected("The source failed; the log of the station says why.")
        intake.pause(pause_s)
        pause_s = min(pause_s * 2, 30.0)


def _answer(image: CapturedImage, outcome: Verdict | StationError) -> None:
    if image.answer is None:
        return
    if isinstance(outcome, Verdict):
        image.answer.set_result(outcome)
    else:
        image.answer.set_exception(outcome)
