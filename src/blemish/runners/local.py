"""This machine as a runner: a process for each training, sessions in memory for hosted models."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from blemish.domain.entities import InferenceUnits
from blemish.engine.graph.providers import ON_CPU
from blemish.engine.images.sizes import ImageLimits
from blemish.runners.child_process import (
    SilentProcessError,
    child_environment,
    ending,
    messages,
)
from blemish.runners.request_queue import WAITING_PER_UNIT, RequestQueue
from blemish.service.detection.detection import ModelBusyError
from blemish.service.models.bundles import Bundles
from blemish.service.models.hosting import Capacity
from blemish.service.training.runner import (
    TrainingFailure,
    TrainingInterruptedError,
    TrainingResult,
    TrainingSpec,
)

if TYPE_CHECKING:
    from blemish.engine.runtime import Detection, Detector

PROCESS = (sys.executable, "-m", "blemish.runners.training_process")


class LocalTrainings:
    """Runs each training in its own process, which dies with this one."""

    def __init__(self, *, silence_s: float, command: Sequence[str] = PROCESS) -> None:
        #: a process that reports nothing for this time counts as lost
        self._silence_s = silence_s
        self._command = command
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()

    def train(
        self, spec: TrainingSpec, *, report: Callable[[str | None], None]
    ) -> TrainingResult | TrainingFailure:
        """See `service.training_runner.TrainingRunner`."""
        with self._process(spec) as process:
            assert process.stdout is not None
            try:
                for message in messages(process.stdout, silence_s=self._silence_s):
                    match message:
                        case {"trained": result}:
                            return TrainingResult(**result)
                        case {"failed": reason, **details}:
                            return TrainingFailure(
                                reason=reason, problems=tuple(details.get("problems", ()))
                            )
                        case {"interrupted": reason}:
                            raise TrainingInterruptedError(reason, counts=False)
                        case {"progress": text}:
                            report(text)
                        case _:
                            report(None)
            except SilentProcessError as error:
                raise TrainingInterruptedError(str(error)) from None
            raise self._interruption(process)

    def stop(self) -> None:
        """End every training; their rows stay in TRAINING and continue at the next start."""
        self._stopping.set()
        with self._lock:
            for process in self._processes:
                process.kill()

    def _interruption(self, process: subprocess.Popen[bytes]) -> TrainingInterruptedError:
        """Return the error of a process without a result; an orderly stop does not count."""
        if self._stopping.is_set():
            return TrainingInterruptedError("the server stops.", counts=False)
        return TrainingInterruptedError(ending(process))

    @contextmanager
    def _process(self, spec: TrainingSpec) -> Iterator[subprocess.Popen[bytes]]:
        threads = str(spec.threads)
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment() | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            start_new_session=True,
        )
        with self._lock:
            self._processes.add(process)
            if self._stopping.is_set():
                process.kill()
        try:
            assert process.stdin is not None
            # The pipe stays open: the process ends when it is closed.
            process.stdin.write(json.dumps(asdict(spec)).encode() + b"\n")
            process.stdin.flush()
            yield process
        except BrokenPipeError:
            raise self._interruption(process) from None
        finally:
            process.kill()
            process.communicate()
            with self._lock:
                self._processes.discard(process)


@dataclass(frozen=True)
class _Hosted:
    queue: RequestQueue
    attempt: int
    #: the folder that it was loaded from
    bundle: str
    detector: Detector


class LocalHosting:
    """Holds the detectors of hosted models in memory, each with a queue of images."""

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
        #: model -> future that its detections await until it is loaded
        self._waiters: defaultdict[int, list[Future[None]]] = defaultdict(list)
        #: guards both; held for a moment only, since the event loop takes it too
        self._lock = threading.Lock()

    def load(self, model_id: int, bundle: str, *, units: InferenceUnits, attempt: int) -> None:
        """See `service.hosting.HostingRunner`."""
        loaded = self._hosted.get(model_id)
        if loaded and loaded.bundle == bundle:  # nothing but the units can be other
            detector = loaded.detector
        else:
            from blemish.engine.runtime import Detector

            detector = Detector.load(
                self._bundles.read(bundle), threads=self._threads, providers=self._providers
            )
            gc.freeze()  # the modules that came with the first one stay: see server/serve.py
        queue = RequestQueue(units=units.maximum or units.minimum, clock=self._clock)
        with self._lock:
            self._close(model_id)
            self._hosted[model_id] = _Hosted(queue, attempt, bundle, detector)
            waiters = self._waiters.pop(model_id, [])
        for waiter in waiters:
            if waiter.set_running_or_notify_cancel():
                waiter.set_result(None)

    def unload(self, model_id: int, *, attempt: int | None = None) -> None:
        """See `service.hosting.HostingRunner`."""
        with self._lock:
            loaded = self._hosted.get(model_id)
            if loaded and (attempt is None or loaded.attempt <= attempt):
                self._close(model_id)

    def capacities(self) -> dict[int, Capacity]:
        """Return the capacity of each loaded model."""
        with self._lock:
            return {model: hosted.queue.capacity for model, hosted in self._hosted.items()}

    async def detect(
        self,
        model_id: int,
        data: bytes,
        *,
        limits: ImageLimits,
        mixed_sizes: bool,
        timeout_s: float,
    ) -> Detection | None:
        """See `service.detection.HostedModels`."""

        def submitted() -> Future[Detection] | None:
            hosted = self._hosted.get(model_id)
            if hosted is None:
                return None
            return hosted.queue.submit(
                partial(hosted.detector.detect, data, limits=limits, mixed_sizes=mixed_sizes)
            )

        with self._lock:
            future = submitted()
            waiter = None if future else self._add_waiter(model_id, timeout_s)
        if waiter is not None:
            await self._wait(waiter, model_id, timeout_s)
            with self._lock:
                future = submitted()
        if future is None:
            return None
        return await asyncio.wrap_future(future)

    def _close(self, model_id: int) -> None:
        if hosted := self._hosted.pop(model_id, None):
            hosted.queue.close()

    def _add_waiter(self, model_id: int, timeout_s: float) -> Future[None]:
        waiters = self._waiters[model_id]
        if len(waiters) >= WAITING_PER_UNIT:
            raise ModelBusyError(wait_s=timeout_s)
        waiter: Future[None] = Future()
        waiters.append(waiter)
        return waiter

    async def _wait(self, waiter: Future[None], model_id: int, timeout_s: float) -> None:
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.wrap_future(waiter), timeout_s)
        finally:
            with self._lock:
                waiters = self._waiters.get(model_id, [])
                if waiter in waiters:
                    waiters.remove(waiter)
                if not waiters:
                    self._waiters.pop(model_id, None)
