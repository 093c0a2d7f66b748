"""Hosted models: those that are loaded, within a budget of memory, each with a queue.

A hosted model is loaded when its start is carried out, and again when an image comes for it. If
there is no memory left, the least recently used models are unloaded; their rows stay HOSTED.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.entities import InferenceUnits, Model, ModelStatus
from blemish.engine.errors import BundleError
from blemish.engine.images.sizes import ImageLimits
from blemish.runners.detectors import DetectorLoader, HostedDetector
from blemish.runners.model_memory import give_back_memory, model_bytes
from blemish.runners.request_queue import WAITING_PER_UNIT, RequestQueue
from blemish.service.detection.detection import ModelBusyError
from blemish.service.models.bundles import Bundles
from blemish.service.models.hosting import (
    Capacity,
    ModelStoppedError,
    WaitReport,
    no_report,
)
from blemish.storage.errors import EncryptionError, StorageError

if TYPE_CHECKING:
    from blemish.engine.runtime import Detection

logger: FilteringBoundLogger = structlog.get_logger(__name__)

LOADERS = 4
"""Models that are loaded at once because images came for them."""


@dataclass(frozen=True)
class _Hosted:
    queue: RequestQueue
    attempt: int
    #: the folder that it was loaded from
    bundle: str
    units: InferenceUnits
    detector: HostedDetector

    def capacity(self) -> Capacity:
        """Return the units that judge images, and how many images wait for one."""
        units = self.detector.in_service(self.queue.units)
        return Capacity(
            units=units,
            waiting=max(0, self.queue.requests - units),
            desired=self.detector.desired_units(),
        )

    def is_older_than(self, model: Model) -> bool:
        """Return whether the row asks for something that was loaded in a later attempt.

        While a model is updated, what was loaded before answers.
        """
        return (
            model.status is ModelStatus.HOSTED
            and self.attempt < model.attempt
            and (self.bundle, self.units) != (model.bundle, model.units)
        )


class ModelHosting:
    """Holds the detectors of hosted models, each with a queue of images."""

    def __init__(
        self,
        *,
        bundles: Bundles,
        detectors: DetectorLoader,
        hosted_row: Callable[[int], Model | None],
        memory_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Only store the arguments.

        Args:
            bundles: of all models.
            detectors: loads what judges images.
            hosted_row: returns the row of a model if it is to answer detections.
            memory_bytes: of this machine for all loaded models, as `model_bytes` estimates it.
            clock: monotonic, in seconds.
        """
        self._bundles = bundles
        self._detectors = detectors
        self._hosted_row = hosted_row
        self._memory_bytes = memory_bytes
        self._clock = clock
        #: the least recently used first
        self._hosted: OrderedDict[int, _Hosted] = OrderedDict()
        #: model -> futures that its detections await until it is loaded
        self._waiters: defaultdict[int, list[Future[None]]] = defaultdict(list)
        #: models that are loaded because of detections
        self._demanded: set[int] = set()
        #: guards all three; held for a moment only, since the event loop takes it too
        self._lock = threading.Lock()
        #: model -> lock of the thread that loads it
        self._loading: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)
        #: bundles that were loaded
        self._loads = 0
        self._loaders = ThreadPoolExecutor(LOADERS, thread_name_prefix="loading")

    def load(
        self,
        model_id: int,
        bundle: str,
        *,
        units: InferenceUnits,
        attempt: int,
        report: WaitReport = no_report,
    ) -> None:
        """See `service.hosting.HostingRunner`."""
        with self._loading[model_id]:
            loaded = self._hosted.get(model_id)
            if loaded and loaded.bundle == bundle and loaded.units == units:
                hosted = replace(loaded, attempt=max(attempt, loaded.attempt))
            else:
                queue = RequestQueue(units=units.maximum or units.minimum, clock=self._clock)
                if loaded and loaded.bundle == bundle:  # nothing but the units can be other
                    detector = loaded.detector
                    detector.change_units(units)
                else:
                    now = loaded.detector if loaded else None
                    detector = self._loaded(
                        bundle, units, instead_of=now, other_than=model_id, report=report
                    )
                hosted = _Hosted(queue, attempt, bundle, units, detector)
            with self._lock:
                replaced = self._hosted.get(model_id)
                if replaced and replaced.queue is not hosted.queue:
                    is_used = replaced.detector is hosted.detector
                    replaced.queue.close(None if is_used else replaced.detector.close)
                self._hosted[model_id] = hosted
                self._hosted.move_to_end(model_id)
        self._wake(model_id, None)

    def unload(self, model_id: int, *, attempt: int | None = None) -> None:
        """See `service.hosting.HostingRunner`."""
        with self._lock:
            loaded = self._hosted.get(model_id)
            if loaded and (attempt is None or loaded.attempt <= attempt):
                self._close(model_id)

    def fitting(self, bundles: Sequence[str]) -> int:
        """See `service.hosting.HostingRunner`."""
        left_bytes = self._memory_bytes
        for count, bundle in enumerate(bundles):
            left_bytes -= model_bytes(self._bundles.size_bytes(bundle))
            if left_bytes < 0:
                return count
        return len(bundles)

    def unload_outdated(self, models: Sequence[Model]) -> None:
        """Unload what the rows no longer ask for.

        What images wait for is being loaded instead of the older one, and may take it over.

        Args:
            models: the rows of all loaded models that are to answer detections.
        """
        rows = {model.id: model for model in models}
        with self._lock:
            for model_id, loaded in list(self._hosted.items()):
                row = rows.get(model_id)
                is_old = row is not None and loaded.is_older_than(row)
                if row is None or (is_old and model_id not in self._demanded):
                    self._close(model_id)

    def loads(self) -> int:
        """Return how many bundles were loaded so far."""
        return self._loads

    def capacities(self) -> dict[int, Capacity]:
        """Return the capacity of each loaded model."""
        with self._lock:
            return {model: hosted.capacity() for model, hosted in self._hosted.items()}

    async def detect(
        self,
        model: Model,
        data: bytes,
        *,
        limits: ImageLimits,
        mixed_sizes: bool,
        timeout_s: float,
    ) -> Detection | None:
        """See `service.detection.HostedModels`."""

        def submitted() -> Future[Detection] | None:
            hosted = self._hosted.get(model.id)
            if hosted is None or hosted.is_older_than(model):
                return None
            self._hosted.move_to_end(model.id)
            return hosted.queue.submit(
                partial(hosted.detector.detect, data, limits=limits, mixed_sizes=mixed_sizes)
            )

        with self._lock:
            future = submitted()
            waiter = None if future else self._add_waiter(model, timeout_s)
        if waiter is not None:
            await self._wait(waiter, model.id, timeout_s)
            with self._lock:
                future = submitted()
        if future is None:
            return None
        return await asyncio.wrap_future(future)

    def _loaded(
        self,
        bundle: str,
        units: InferenceUnits,
        *,
        instead_of: HostedDetector | None,
        other_than: int,
        report: WaitReport,
    ) -> HostedDetector:
        """Load a bundle once there is memory for it."""

        def make_room(size_bytes: int) -> None:
            with self._lock:
                unloaded = self._make_room(size_bytes, other_than=other_than)
            if unloaded:
                give_back_memory()

        detector = self._detectors.load(
            bundle, units=units, make_room=make_room, instead_of=instead_of, report=report
        )
        with self._lock:
            self._loads += 1
        return detector

    def _make_room(self, size_bytes: int, *, other_than: int) -> bool:
        """Unload the least recently used models; return whether any was unloaded.

        A model that is too large alone is loaded anyway.
        """
        sizes = {key: loaded.detector.size_bytes for key, loaded in self._hosted.items()}
        sizes.pop(other_than, None)
        total_bytes = sum(sizes.values())
        count = len(self._hosted)
        for model_id, unloaded_bytes in sizes.items():
            if total_bytes + size_bytes <= self._memory_bytes:
                break
            self._close(model_id)
            total_bytes -= unloaded_bytes
        return len(self._hosted) < count

    def _close(self, model_id: int) -> None:
        if hosted := self._hosted.pop(model_id, None):
            hosted.queue.close(hosted.detector.close)

    def _add_waiter(self, model: Model, timeout_s: float) -> Future[None]:
        waiters = self._waiters[model.id]
        if len(waiters) >= WAITING_PER_UNIT:
            raise ModelBusyError(wait_s=timeout_s)
        waiter: Future[None] = Future()
        waiters.append(waiter)
        # after an end of the server in its load, it is loaded by an attempt, which is counted
        if not model.interruptions and model.id not in self._demanded:
            self._demanded.add(model.id)
            self._loaders.submit(self._load_on_demand, model.id)
        return waiter

    def _load_on_demand(self, model_id: int) -> None:
        """Load a model that images wait for, and let them go on, or fail."""
        failure: BaseException | None = None
        try:
            self._load_row(model_id)
        except BaseException as error:  # noqa: BLE001 - those who wait raise it
            failure = error
        with self._lock:
            self._demanded.discard(model_id)
        self._wake(model_id, failure)

    def _load_row(self, model_id: int) -> None:
        def check(_: str) -> None:
            with suppress(StorageError):
                if self._hosted_row(model_id) is None:
                    raise ModelStoppedError

        row = self._hosted_row(model_id)
        while row is not None:
            assert row.bundle is not None
            assert row.units is not None
            try:
                self.load(row.id, row.bundle, units=row.units, attempt=row.attempt, report=check)
            except ModelStoppedError:
                return
            except (BundleError, EncryptionError):
                newer = self._hosted_row(model_id)
                if newer is not None and newer.bundle == row.bundle:
                    raise
                row = newer
                continue
            if self._hosted_row(model_id) is None:  # it was stopped meanwhile
                self.unload(model_id, attempt=row.attempt)
            return

    def _wake(self, model_id: int, failure: BaseException | None) -> None:
        with self._lock:
            waiters = self._waiters.pop(model_id, [])
        for waiter in waiters:
            if waiter.set_running_or_notify_cancel():
                if failure is None:
                    waiter.set_result(None)
                else:
                    waiter.set_exception(failure)

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
