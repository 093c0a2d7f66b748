"""This machine as a runner: a process for each training, sessions in memory for hosted models."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, Any, TypeVar

from blemish.domain.entities import InferenceUnits
from blemish.engine.graph.sessions import ON_CPU
from blemish.engine.images.decode import ImageError, ImageLimits
from blemish.engine.runtime import Detector
from blemish.runners.line import WAITING_PER_UNIT, Line, Turn
from blemish.service.detection.detection import ModelBusyError, Outcome
from blemish.service.models.bundles import Bundles
from blemish.service.models.hosting import Capacity
from blemish.service.training.runner import (
    TrainingFailure,
    TrainingInterruptedError,
    TrainingJob,
    TrainingResult,
)

PROCESS = (sys.executable, "-m", "blemish.runners.training_process")
STORE_SETTINGS = "BLEMISH_S3_"

T = TypeVar("T")


class LocalTrainings:
    """Runs each training in a process of its own, which dies with this one."""

    def __init__(self, *, silence_s: float, command: Sequence[str] = PROCESS) -> None:
        #: a process that says nothing for so long is taken for lost
        self._silence_s = silence_s
        self._command = command
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()

    def train(
        self, job: TrainingJob, *, report: Callable[[str | None], None]
    ) -> TrainingResult | TrainingFailure:
        """See `service.training_runner.TrainingRunner`."""
        with self._process(job) as process:
            assert process.stdout is not None
            for message in _messages(process.stdout, silence_s=self._silence_s):
                match message:
                    case {"trained": result}:
                        return TrainingResult(**result)
                    case {"failed": reason}:
                        return TrainingFailure(reason=reason)
                    case {"progress": text}:
                        report(text)
                    case _:
                        report(None)
            raise TrainingInterruptedError(_ending(process))

    def stop(self) -> None:
        """End every training; their rows stay in TRAINING and are taken up at the next start."""
        self._stopping.set()
        with self._lock:
            for process in self._processes:
                process.kill()

    @contextmanager
    def _process(self, job: TrainingJob) -> Iterator[subprocess.Popen[bytes]]:
        threads = str(job.threads)
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment() | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            start_new_session=True,
        )
        with self._lock:
            self._processes.add(process)
            if self._stopping.is_set():
                process.kill()
        try:
            assert process.stdin is not None
            # Kept open: the process ends itself when this pipe does.
            process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
            process.stdin.flush()
            yield process
        except BrokenPipeError:
            raise TrainingInterruptedError(_ending(process)) from None
        finally:
            process.kill()
            process.communicate()
            with self._lock:
                self._processes.discard(process)


def _messages(stream: IO[bytes], *, silence_s: float) -> Iterator[dict[str, Any]]:
    """Yield the JSON lines of a process until it ends.

    Raises:
        TrainingInterruptedError: it says nothing for too long.
    """
    rest = b""
    poll = select.poll()  # unlike select, it takes any number that a descriptor may have
    poll.register(stream, select.POLLIN)
    while True:
        if not poll.poll(silence_s * 1_000):
            raise TrainingInterruptedError(f"the process said nothing for {silence_s:g} s")
        data = os.read(stream.fileno(), 65_536)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from map(json.loads, lines)


def _environment() -> dict[str, str]:
    """Return ours without what opens the store, which is told to the process by its pipe."""
    return {name: text for name, text in os.environ.items() if not name.startswith(STORE_SETTINGS)}


def _ending(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    return f"the process ended with exit status {code}"


@dataclass(frozen=True)
class _Hosted:
    line: Line
    attempt: int
    #: where it was loaded from
    bundle: str
    detector: Detector


class LocalHosting:
    """Keeps the detectors of hosted models in memory, each with a line of images before it."""

    def __init__(
        self,
        *,
        bundles: Bundles,
        threads: int,
        providers: Sequence[str] = ON_CPU,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bundles = bundles
        self._threads = threads
        self._providers = providers
        self._clock = clock
        self._hosted: dict[int, _Hosted] = {}
        #: model -> turns that wait until it is loaded
        self._expecting: dict[int, list[Turn[Any]]] = {}
        self._changed = threading.Condition()
        self._patience = ThreadPoolExecutor(1, thread_name_prefix="patience")

    def load(self, model_id: int, bundle: str, *, units: InferenceUnits, attempt: int) -> None:
        """See `service.hosting.HostingRunner`."""
        found = self._hosted.get(model_id)
        if found and found.bundle == bundle:  # nothing but the units can be other
            detector = found.detector
        else:
            detector = Detector.load(
                self._bundles.read(bundle), threads=self._threads, providers=self._providers
            )
        line = Line(detector, units=units.maximum or units.minimum, clock=self._clock)
        with self._changed:
            self._close(model_id)
            self._hosted[model_id] = _Hosted(line, attempt, bundle, detector)
            for turn in self._expecting.pop(model_id, []):
                line.add(turn)
            self._changed.notify_all()

    def unload(self, model_id: int, *, attempt: int | None = None) -> None:
        """See `service.hosting.HostingRunner`."""
        with self._changed:
            found = self._hosted.get(model_id)
            if found and (attempt is None or found.attempt <= attempt):
                self._close(model_id)

    def capacities(self) -> dict[int, Capacity]:
        """Return what each loaded model has."""
        with self._changed:
            return {model: hosted.line.capacity for model, hosted in self._hosted.items()}

    def judge(
        self,
        model_id: int,
        data: bytes,
        *,
        limits: ImageLimits,
        mixed_sizes: bool,
        timeout_s: float,
        then: Callable[[Outcome], T],
    ) -> Future[T]:
        """See `service.detection.HostedModels`."""

        def outcome(detector: Detector | None) -> Outcome:
            try:
                if detector is None:
                    return None
                return detector.detect(data, limits=limits, mixed_sizes=mixed_sizes)
            except ImageError as error:
                return error

        turn = Turn(lambda detector: then(outcome(detector)))
        with self._changed:
            if hosted := self._hosted.get(model_id):
                hosted.line.add(turn)
            else:
                self._expect(model_id, turn, timeout_s)
        return turn.future

    def _close(self, model_id: int) -> None:
        if hosted := self._hosted.pop(model_id, None):
            hosted.line.close()

    def _expect(self, model_id: int, turn: Turn[T], timeout_s: float) -> None:
        expecting = self._expecting.setdefault(model_id, [])
        if len(expecting) >= WAITING_PER_UNIT:
            raise ModelBusyError(wait_s=timeout_s)
        expecting.append(turn)
        # One thread is enough: all wait equally long, so the first to come is the first to go.
        self._patience.submit(self._give_up, model_id, turn, self._clock() + timeout_s)

    def _give_up(self, model_id: int, turn: Turn[T], deadline: float) -> None:
        with self._changed:
            left_s = max(0.0, deadline - self._clock())
            if self._changed.wait_for(lambda: turn not in self._expected(model_id), left_s):
                return
            self._expecting[model_id].remove(turn)
            if not self._expecting[model_id]:
                del self._expecting[model_id]
        turn.take(None)

    def _expected(self, model_id: int) -> list[Turn[Any]]:
        return self._expecting.get(model_id, [])
